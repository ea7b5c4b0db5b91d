"""Packets with a false source address are not delivered.

IPv6 lets any program bind the address of another machine (IPV6_FREEBIND): no program on this machine receives what it
sends under that address. Nor does one receive what another machine sends under an address of ours, not even within a
conversation that goes on. And a machine in whose name a program here sent something is not told of the refusal.
"""

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.evasion.stage import ATTACKER, PYTHON
from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_line, read_rest, read_until, wait_until
from tests.lab.world import HOST6, WORLD6

pytestmark = [pytest.mark.privileged]

PORT, OTHER_PORT = 7400, 7401
NEIGHBOUR = "fe80::1234"  # an address that no machine has
ROUTED = "fd99::1"  # ours by a route alone, not by an address
GROUP = "ff02::1234"
UNUSED = "fd77::99"  # an address of the link that nobody has
TAKEN = "fd77::77"  # another machine's, which this one wants too
# Prints what comes to the port, alone or by the group, until one says `no more`.
HEAR = f"""
import socket, struct
eth0 = socket.if_nametoindex("eth0")
member = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
member.bind(("::", {PORT}))
group = socket.inet_pton(socket.AF_INET6, "{GROUP}")
member.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + struct.pack("=I", eth0))
print("ready", flush=True)
while (heard := member.recv(100)) != b"no more":
    print(heard.decode(), flush=True)
"""
FREE_BIND, TRANSPARENT = "78", "75"  # IPV6_FREEBIND, IPV6_TRANSPARENT: include/uapi/linux/in6.h
# Sends from an address that need not be ours.
SAY = """
import socket, sys
source, remote, text, way = sys.argv[1:]
eth0 = socket.if_nametoindex("eth0")
used = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
used.setsockopt(socket.IPPROTO_IPV6, int(way), 1)
used.bind((source, 7402, 0, eth0 if source.startswith("fe80") else 0))
try:
    used.sendto(text.encode(), (remote, 7400, 0, eth0 if remote.startswith("f") else 0))
except OSError as error:  # no way leads from an address of the link to ::1
    print(error)
"""
# Asks a server in the world, which does not answer, and prints what comes instead.
ASK = f"""
import socket
used = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
used.bind(("::", {PORT}))
used.sendto(b"question", ("{WORLD6}", 7402))
print("ready", flush=True)
while (heard := used.recv(100)) != b"no more":
    print(heard.decode(), flush=True)
"""
# Two sockets of this machine talk to each other; after that, one prints what it receives.
TALK = """
import socket, sys
own, port = sys.argv[1], int(sys.argv[2])
scope = socket.if_nametoindex("eth0") if own.startswith("fe80") else 0
ends = [(own, each, 0, scope) for each in (7403, port)]
here, there = (socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _end in ends)
for end in (here, there):
    end.setsockopt(socket.IPPROTO_IPV6, 78, 1)  # IPV6_FREEBIND: no interface has an address that a route alone leads to
here.bind(ends[0])
there.bind(ends[1])
here.sendto(b"question", ends[1])
there.recv(100)
there.sendto(b"answer", ends[0])
here.recv(100)
print("ready", flush=True)
sys.stdin.readline()
there.sendto(b"no more", ends[0])
while (heard := here.recv(100)) != b"no more":
    print(heard.decode(), flush=True)
print("over", flush=True)
"""
# Forges a datagram from the second of these sockets to the first.
FORGE = """
import socket, struct, sys
own = socket.inet_pton(socket.AF_INET6, sys.argv[1])
datagram = struct.pack("!HHH", int(sys.argv[2]), 7403, 8 + 6)
words = struct.unpack("!16H", own + own) + struct.unpack("!3H3H", datagram + b"forged") + (17, 14)
total = sum(words)
while total >> 16:
    total = (total & 0xFFFF) + (total >> 16)
datagram += struct.pack("!H", ~total & 0xFFFF) + b"forged"
raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
scope = socket.if_nametoindex("eth0")
raw.sendto(struct.pack("!IHBB", 6 << 28, len(datagram), 17, 1) + own + own + datagram, (sys.argv[1], 0, 0, scope))
"""
# Sends and connects from the address of another machine to a port that is denied.
BE_REFUSED = """
import socket, sys
source, remote = sys.argv[1:]
for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
    used = socket.socket(socket.AF_INET6, kind)
    used.setsockopt(socket.IPPROTO_IPV6, 78, 1)
    used.bind((source, 7405))
    used.settimeout(0.1)
    try:
        used.connect((remote, 7406))
        used.send(b"secret")
    except OSError:  # refused, or in vain
        pass
"""
# Runs in the world: prints each refusal (ICMPv6 unreachable) and each TCP segment that it receives, until a ping comes.
HEAR_REFUSALS = """
import select, socket
protocols = (socket.IPPROTO_ICMPV6, socket.IPPROTO_TCP)
ends = {socket.socket(socket.AF_INET6, socket.SOCK_RAW, protocol): protocol for protocol in protocols}
print("ready", flush=True)
echo_request, unreachable, is_over = 128, 1, False
while not is_over:
    for end in select.select(ends, [], [])[0]:
        packet = end.recv(2000)
        is_over |= ends[end] == socket.IPPROTO_ICMPV6 and packet[0] == echo_request
        if ends[end] == socket.IPPROTO_TCP or packet[0] == unreachable:
            print(ends[end], packet, flush=True)
"""
RULES = f"""\
allow localhost - -
allow localhost - -src
allow lan 7400 udp
allow {WORLD6} 7402 udp
allow {WORLD6} - udp-src
allow {NEIGHBOUR} - udp-src
allow lan 7403 udp
allow lan 7403 udp-src
allow lan 7404 udp
allow lan 7404 udp-src
allow lan 53 udp
allow lan 53 udp-src
allow {ROUTED} - udp
allow {ROUTED} - udp-src
allow {WORLD6} - icmp
deny - 7406 -
allow {TAKEN} 80 tcp
"""
NOT_CONNECTED = 7  # curl(1)


@pytest.fixture(scope="module")
def lab(_clean_machine: None) -> Iterator[Lab]:
    with Lab() as made:
        for run, route in (
            (made.run_outside, ["local", ROUTED, "dev", "lo"]),
            (made.run_world, [ROUTED, "via", HOST6]),
        ):
            assert run(["ip", "-6", "route", "add", *route]).returncode == 0
        yield made


@pytest.fixture(scope="module")
def daemon(lab: Lab) -> Daemon:
    return lab.start_daemon(RULES, timeout_s=0)


def say(lab: Lab, *words: str, way: str = FREE_BIND) -> None:
    said = lab.run([PYTHON, "-c", SAY, *words, way], user=ATTACKER if way == FREE_BIND else None)
    assert said.returncode == 0, said.stderr


def hear(lab: Lab, program: str, source: str, remote: str, *, way: str = FREE_BIND) -> str:
    """What the program receives while a forged datagram is sent to it, and then honest ones: only these may come."""
    member = lab.spawn([PYTHON, "-c", program])
    assert read_line(member) == "ready\n"
    say(lab, source, remote, "forged", way=way)
    say(lab, HOST6, HOST6, "own")
    say(lab, "fe80::2", "fe80::2", "of the link")
    say(lab, HOST6, GROUP, "of the group")
    say(lab, "::1", "::1", "no more")
    heard = read_rest(member)
    member.wait(timeout=WAIT_S)
    return heard


@pytest.mark.parametrize("source", [WORLD6, NEIGHBOUR])
@pytest.mark.parametrize("remote", ["::1", HOST6, "fe80::2", GROUP])
def test_another_machines_address_as_source_is_not_heard(lab: Lab, daemon: Daemon, source: str, remote: str) -> None:
    assert hear(lab, HEAR, source, remote) == "own\nof the link\nof the group\n"


@pytest.mark.parametrize("remote", ["::1", HOST6])
def test_another_machines_address_is_not_heard_from_a_transparent_socket(lab: Lab, daemon: Daemon, remote: str) -> None:
    """IPV6_TRANSPARENT, which takes CAP_NET_ADMIN or CAP_NET_RAW: proxies use it."""
    assert hear(lab, HEAR, WORLD6, remote, way=TRANSPARENT) == "own\nof the link\nof the group\n"


@pytest.mark.parametrize("remote", ["::1", HOST6])
def test_another_machines_address_is_not_heard_as_the_answer_to_a_question(
    lab: Lab, daemon: Daemon, remote: str
) -> None:
    assert hear(lab, ASK, WORLD6, remote) == "own\nof the link\n"


@pytest.mark.parametrize(("own", "port"), [(HOST6, 7404), (ROUTED, 7404), ("fe80::2", 7404), (HOST6, 53)])
def test_another_machine_takes_no_part_in_what_goes_on_within_this_one(
    lab: Lab, daemon: Daemon, own: str, port: int
) -> None:
    talk = lab.spawn([PYTHON, "-c", TALK, own, str(port)], stdin=subprocess.PIPE)
    assert talk.stdin
    assert read_until(talk, lambda said: said) == ["ready\n"]
    forged = lab.run_world([PYTHON, "-c", FORGE, own, str(port)])
    assert forged.returncode == 0, forged.stderr
    assert talk.communicate("\n", timeout=WAIT_S)[0] == "over\n"


@pytest.mark.parametrize("remote", [UNUSED, HOST6, "::1"])
def test_another_machine_is_not_told_what_is_denied(lab: Lab, daemon: Daemon, remote: str) -> None:
    hearing = lab.spawn_world([PYTHON, "-c", HEAR_REFUSALS])
    assert read_line(hearing) == "ready\n"
    refused = lab.run([PYTHON, "-c", BE_REFUSED, WORLD6, remote], user=ATTACKER)
    assert refused.returncode == 0, refused.stderr
    for protocol in ("udp", "tcp"):
        daemon.wait_connection(protocol=protocol, remote_address=remote, remote_port=7406, verdict="deny")
    lab.run(["ping", "-c1", WORLD6])
    assert hearing.communicate(timeout=WAIT_S)[0] == ""


def test_an_address_that_another_machine_has_does_not_become_ours(lab: Lab, daemon: Daemon) -> None:
    """Nor while duplicate address detection runs (RFC 4862 5.4): its owner would be `localhost` to the rules."""
    claim = f"echo 1 >/proc/sys/net/ipv6/conf/eth0/accept_dad; ip -6 address add {TAKEN}/64 dev eth0"
    assert lab.run_world(["ip", "-6", "address", "add", f"{TAKEN}/64", "dev", "eth0", "nodad"]).returncode == 0
    assert lab.run_outside(["sh", "-ec", claim]).stderr == ""
    wait_until(lambda: "dadfailed" in lab.run_outside(["ip", "-6", "address", "show", "to", TAKEN]).stdout)
    # The kernel ignores advertisements for such an address from now on (ndisc_recv_na()): tell it the link address.
    (link,) = json.loads(lab.run_world(["ip", "-j", "link", "show", "eth0"]).stdout)
    neighbour = ["ip", "neighbour", "replace", TAKEN, "lladdr", link["address"], "dev", "eth0"]
    assert lab.run_outside(neighbour).returncode == 0
    server = lab.spawn([PYTHON, "-u", "-m", "http.server", "--bind", "::", "7407"])
    assert "Serving" in read_line(server)
    knock = ["curl", "-sS", "--max-time", "20", "--interface", TAKEN, f"http://[{HOST6}]:7407/"]
    assert lab.run_world(knock).returncode == NOT_CONNECTED, daemon.describe()
    daemon.wait_connection(direction="inbound", remote_address=TAKEN, verdict="deny")
    assert lab.run(["curl", "-sS", "--max-time", "20", f"http://[{TAKEN}]/"]).stdout == "welcome to the shop\n"
