"""Rules with `iface=`: a flow that goes on by another interface than the one it was judged for is judged again."""

import itertools
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest

from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_rest, read_until, write_line
from tests.lab.watched_lab import PYTHON
from tests.lab.world import WORLD4, WORLD6

pytestmark = [pytest.mark.privileged, pytest.mark.slow]

END = "allow iface=eth1 - 9 udp\n"
_secrets = itertools.count(1000)  # each test has its own: TCP sends those of earlier tests again and again
# Prints a line whenever the secret comes by the second interface, until a packet says `no more`.
SNIFF = """
import socket, sys
packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # ETH_P_ALL
packets.bind(("eth1", 0))
print("ready", flush=True)
while b"no more" not in (packet := packets.recv(65535)):
    if sys.argv[1].encode() in packet:
        print("astray", flush=True)
"""
SEND = """
import socket, struct, sys
way, address, end, secret = *sys.argv[1:4], sys.argv[4].encode()
family = socket.AF_INET6 if ":" in address else socket.AF_INET
eth1 = socket.if_nametoindex("eth1")

def bind_to_device(used):
    used.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth1")

def stream():
    used = socket.create_connection((address, 80))
    used.send(b"GET / HTTP/1.1\\r\\n")
    bind_to_device(used)
    used.send(b"Host: " + secret + b"\\r\\n")
    return used

def talk():
    used = socket.socket(family, socket.SOCK_DGRAM)
    used.sendto(b"x", (address, 7))
    used.settimeout(60)
    used.recv(1)
    return used

def datagram():
    used = talk()
    bind_to_device(used)
    used.sendto(secret, (address, 7))

def unanswered():
    used = socket.socket(family, socket.SOCK_DGRAM)
    used.sendto(b"x", (address, 8))
    bind_to_device(used)
    used.sendto(secret, (address, 8))

def unicast():
    used = talk()
    level, option = (socket.IPPROTO_IPV6, 76) if family == socket.AF_INET6 else (socket.IPPROTO_IP, 50)
    used.setsockopt(level, option, struct.pack("!I", eth1))
    used.sendto(secret, (address, 7))

def packet_info():
    used = talk()
    info = struct.pack("=16xI", eth1) if family == socket.AF_INET6 else struct.pack("=I8x", eth1)
    level, kind = (socket.IPPROTO_IPV6, 50) if family == socket.AF_INET6 else (socket.IPPROTO_IP, socket.IP_PKTINFO)
    used.sendmsg([secret], [(level, kind, info)], 0, (address, 7))

def wait_for_route():
    print("talks", flush=True)
    sys.stdin.readline()

def stream_rerouted():
    used = socket.create_connection((address, 80))
    used.send(b"GET / HTTP/1.1\\r\\n")
    wait_for_route()
    used.send(b"Host: " + secret + b"\\r\\n")
    return used

def rerouted():
    used = talk()
    wait_for_route()
    used.sendto(secret, (address, 7))

try:
    kept = globals()[way]()
except PermissionError:
    pass
print("sent", flush=True)
sys.stdin.readline()  # `no more` must come after what is held now
last = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
bind_to_device(last)
last.sendto(b"no more", (end, 9))
"""
WAYS = ("stream", "datagram", "unanswered", "unicast", "packet_info", "stream_rerouted", "rerouted")


@pytest.fixture(scope="module")
def lab(_clean_machine: None) -> Iterator[Lab]:
    with Lab() as made:
        host, world = made.namespaces.host, made.namespaces.world
        run = made.run_outside
        peer = ["type", "veth", "peer", "name", "eth1", "netns", world]
        for command in (["-n", host, "link", "add", "eth1", *peer], ["-n", host, "link", "set", "eth1", "up"]):
            assert run(["ip", *command]).returncode == 0
        assert run(["ip", "-n", world, "link", "set", "eth1", "up"]).returncode == 0
        (link,) = json.loads(run(["ip", "-n", world, "-j", "link", "show", "eth1"]).stdout)
        for remote in (WORLD4, WORLD6):
            added = run(["ip", "neighbour", "add", remote, "lladdr", link["address"], "dev", "eth1"])
            assert added.returncode == 0, added.stderr
            assert (
                run(["ip", "-6" if ":" in remote else "-4", "route", "add", "default", "dev", "eth1"]).returncode == 0
            )
        yield made


@pytest.fixture(scope="module")
def daemon(lab: Lab) -> Daemon:
    return lab.start_daemon(END, timeout_s=60)


@contextmanager
def sent(lab: Lab, way: str, address: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Send in this way to the address; the process that tells what comes by the second interface, and the sender's pid.

    At the end of the block the sniffer is told that no more will come.
    """
    secret = f"secret {next(_secrets)}"
    sniffer = lab.spawn_world([PYTHON, "-c", SNIFF, secret])
    assert read_until(sniffer, len) == ["ready\n"]
    sender = lab.spawn([PYTHON, "-c", SEND, way, address, WORLD4, secret], user="nobody", stdin=subprocess.PIPE)
    with rerouted(lab, address, sender) if "rerouted" in way else nullcontext():
        assert read_until(sender, len) == ["sent\n"]
        yield sniffer, sender.pid
        assert (sender.communicate("\n", timeout=WAIT_S)[0], sender.returncode) == ("", 0)
        sniffer.wait(timeout=WAIT_S)


@contextmanager
def rerouted(lab: Lab, address: str, sender: "subprocess.Popen[str]") -> Iterator[None]:
    """Wait until the sender talks with the address, and then route it through the second interface."""
    assert read_until(sender, len) == ["talks\n"]
    route = ["-6" if ":" in address else "-4", "route"]
    assert lab.run_outside(["ip", *route, "add", address, "dev", "eth1"]).returncode == 0
    write_line(sender)
    try:
        yield
    finally:
        assert lab.run_outside(["ip", *route, "delete", address, "dev", "eth1"]).returncode == 0


@pytest.mark.parametrize("rules", ["allow iface=eth0 - - -\n", "allow - - -\ndeny iface=eth1 - - -\n"])
@pytest.mark.parametrize("address", [WORLD4, WORLD6])
@pytest.mark.parametrize("way", WAYS)
def test_a_flow_does_not_go_on_by_an_interface_where_it_is_not_allowed(
    lab: Lab, daemon: Daemon, rules: str, address: str, way: str
) -> None:
    daemon.edit_rules(END + rules)
    with sent(lab, way, address) as (sniffer, _sender):
        time.sleep(0.3)  # time for a packet to leave that must not: there is no event to wait for
    assert read_rest(sniffer) == ""


def test_a_flow_goes_on_by_another_interface_where_it_is_allowed(lab: Lab, daemon: Daemon) -> None:
    daemon.edit_rules(f"{END}allow iface=eth0 - - -\nallow iface=eth1 - - -\n")
    for way in WAYS:
        with sent(lab, way, WORLD4) as (sniffer, _sender):
            assert read_until(sniffer, len) == ["astray\n"], way


@pytest.mark.parametrize("way", WAYS)
def test_a_flow_is_asked_about_once_more_where_no_rule_covers_the_interface(lab: Lab, daemon: Daemon, way: str) -> None:
    daemon.edit_rules(
        f"{END}allow iface=eth0 - - -\ndeny - 1 tcp /{way}\n"
    )  # other rules each time: none is remembered
    with sent(lab, way, WORLD4) as (sniffer, sender):
        daemon.answer(daemon.wait_ask(pid=sender), "yes", "--for", "once")
        assert read_until(sniffer, len) == ["astray\n"]
