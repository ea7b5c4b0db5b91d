"""More than the daemon can judge comes at once: what others ask for meanwhile finds its place all the same."""

import json
import subprocess

import pytest

from tests.evasion.stage import ATTACKER, PYTHON
from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.patience import PATIENCE, WAIT_S, read_line, wait_until
from tests.lab.stubs import set_resolvers, start_stub
from tests.lab.wakeups import are_at_rest
from tests.lab.world import HOST4, PAGE_NAMES, WORLD4
from tinysnitch.daemon.counters import KERNEL_LOSSES
from tinysnitch.daemon.history_budget import Share

pytestmark = [pytest.mark.privileged, pytest.mark.slow]

HONEST = "/usr/bin/curl"
PORT = 7320
# Says when it has it, and hears nothing.
LISTEN = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if sys.argv[1] == "udp" else socket.SOCK_STREAM)
server.bind(("", int(sys.argv[2])))
if sys.argv[1] == "tcp":
    server.listen()
print("listening", flush=True)
sys.stdin.read()
"""
# In the name of thousands of machines, each packet from another port: until its input ends, or 60 s.
FLOOD_IN = """
import os, select, socket, struct, sys, time
def add(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
local, port = socket.inet_aton(sys.argv[2]), int(sys.argv[3])
packets = []
for number in range(20000):
    remote = bytes([10, 77, 128 + number // 250 % 100, 1 + number % 250])
    if sys.argv[1] == "udp":
        protocol, body = 17, struct.pack("!HHHHxx", 1024 + number, port, 10, 0)
    else:
        begin, end = struct.pack("!HHIIBBH", 1024 + number, port, number, 0, 0x50, 2, 1000), b"\\0\\0"
        total = add(remote + local + struct.pack("!HH", 6, 20) + begin + end)
        protocol, body = 6, begin + struct.pack("!H", total) + end
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), number, 0, 64, protocol, 0)
    packets.append(header + remote + local + body)
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
end_s = time.monotonic() + 60
while time.monotonic() < end_s and not select.select([sys.stdin], [], [], 0)[0]:
    for packet in packets:
        raw.sendto(packet, (sys.argv[2], 0))
    os.write(1, b"flooding\\n")
"""
# By two processes.
FLOOD_OUT = """
import os, select, socket, sys, time
os.fork()
end_s = time.monotonic() + 60
while time.monotonic() < end_s and not select.select([sys.stdin], [], [], 0)[0]:
    for port in range(10000, 20000):
        asks = socket.socket()
        asks.setblocking(False)
        asks.connect_ex((sys.argv[1], port))
        asks.close()
    os.write(1, b"flooding\\n")
"""
# To so many ports at once, each of which is decided on its own.
BURST = """
import socket, sys
asks = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in range(6000, 7000):
    asks.sendto(b"", (sys.argv[1], port))
"""
# From the port that mDNS is told from, by one machine out there.
TELL = """
import os, select, socket, sys, time
tells = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
tells.bind(("", 5353))
tells.connect((sys.argv[1], int(sys.argv[2])))
end_s = time.monotonic() + 60
while time.monotonic() < end_s and not select.select([sys.stdin], [], [], 0)[0]:
    for _ in range(20000):
        tells.send(b"x" * 12)
    os.write(1, b"flooding\\n")
"""
# Another name each time, by two processes; by so many sockets, as no more than some 280 packets of one may wait.
ASK = """
import os, select, socket, sys, time
os.fork()
end_s = time.monotonic() + 60
each = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(16)]
for asks in each:
    asks.connect((sys.argv[1], 53))
    asks.setblocking(False)
while time.monotonic() < end_s and not select.select([sys.stdin], [], [], 0)[0]:
    for number in range(2000):
        name = b"\\x10" + os.urandom(8).hex().encode() + b"\\x04test\\0"
        try:
            begin = number.to_bytes(2, "big") + bytes([1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
            each[number % 16].send(begin + name + bytes([0, 1, 0, 1]))
        except OSError:
            pass
    os.write(1, b"flooding\\n")
"""


def visit(lab: Lab) -> "subprocess.CompletedProcess[str]":
    """Each time another process, of which nothing is remembered."""
    patience = ["--connect-timeout", str(10 * PATIENCE)]
    return lab.run([HONEST, "-sS", "-o", "/dev/null", *patience, f"http://{WORLD4}/"])


def count_losses(daemon: Daemon) -> dict[str, int]:
    losses: dict[str, int] = json.loads(daemon.cli("status", "--json").stdout)["losses"]
    return losses


def is_crowded(daemon: Daemon) -> bool:
    return "\nCROWDED" in daemon.cli("status").stdout


def assert_that_others_are_heard(lab: Lab, daemon: Daemon, flood: "subprocess.Popen[str]") -> None:
    for _ in range(3):
        assert read_line(flood) == "flooding\n"
    visits = [visit(lab) for _ in range(5)]
    assert flood.stdin
    flood.stdin.close()
    assert [(each.returncode, each.stderr) for each in visits] == [(0, "")] * 5, daemon.cli("status").stdout
    assert count_losses(daemon)[KERNEL_LOSSES["lost_crowd"]]
    flood.wait(timeout=WAIT_S)


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_of_machines_out_there_that_nobody_was_asked_about(lab: Lab, kind: str) -> None:
    daemon = lab.start_daemon(f"allow - 80 tcp {HONEST}\n")
    server = lab.spawn([PYTHON, "-c", LISTEN, kind, str(PORT)], stdin=subprocess.PIPE)
    assert read_line(server) == "listening\n"
    flood = lab.spawn_world([PYTHON, "-c", FLOOD_IN, kind, HOST4, str(PORT)], stdin=subprocess.PIPE)
    assert_that_others_are_heard(lab, daemon, flood)


def test_of_machines_out_there_that_ask_for_a_port_that_is_closed(lab: Lab) -> None:
    daemon = lab.start_daemon(f"allow - 80 tcp {HONEST}\n")
    flood = lab.spawn_world([PYTHON, "-c", FLOOD_IN, "tcp", HOST4, str(PORT)], stdin=subprocess.PIPE)
    assert_that_others_are_heard(lab, daemon, flood)


def test_of_another_users_program(lab: Lab) -> None:
    daemon = lab.start_daemon(f"allow - 80 tcp {HONEST}\n")
    flood = lab.spawn([PYTHON, "-c", FLOOD_OUT, WORLD4], user=ATTACKER, stdin=subprocess.PIPE)
    assert_that_others_are_heard(lab, daemon, flood)


def test_when_it_is_over_each_may_have_any_number_again(lab: Lab) -> None:
    """No packet has to come before."""
    daemon = lab.start_daemon(f"allow {WORLD4} - udp\n")
    flood = lab.spawn([PYTHON, "-c", FLOOD_OUT, WORLD4], user=ATTACKER, stdin=subprocess.PIPE)
    wait_until(lambda: count_losses(daemon)[KERNEL_LOSSES["lost_crowd"]])
    wait_until(lambda: is_crowded(daemon))
    assert flood.stdin
    flood.stdin.close()
    flood.wait(timeout=WAIT_S)
    wait_until(lambda: are_at_rest(daemon.process.pid))  # all that came by then is held
    wait_until(lambda: not is_crowded(daemon))
    before = count_losses(daemon)[KERNEL_LOSSES["lost_crowd"]]
    burst = lab.run([PYTHON, "-c", BURST, WORLD4])
    assert (burst.returncode, burst.stdout) == (0, "")
    wait_until(lambda: daemon.cli("log", "--json", "--lines", "2000").stdout.count('"protocol":"udp"') == 1000)
    assert count_losses(daemon)[KERNEL_LOSSES["lost_crowd"]] == before
    assert not is_crowded(daemon)


def test_of_what_claims_to_tell_names_of_the_link(lab: Lab) -> None:
    """To a port that is open to everybody: what resolvers tell is read beside it."""
    daemon = lab.start_daemon("allow - - udp-src\n")
    server = lab.spawn([PYTHON, "-c", LISTEN, "udp", str(PORT)], stdin=subprocess.PIPE)
    assert read_line(server) == "listening\n"
    flood = lab.spawn_world([PYTHON, "-c", TELL, HOST4, str(PORT)], stdin=subprocess.PIPE)
    for _ in range(4):
        assert read_line(flood) == "flooding\n"
    assert flood.stdin
    flood.stdin.close()
    flood.wait(timeout=WAIT_S)
    assert count_losses(daemon)["DNS messages dropped"] == 0


@pytest.mark.parametrize("stub", [None, "dnsmasq"])
def test_of_questions_for_names(lab: Lab, stub: str | None) -> None:
    """Of another user; also where a resolver on this machine asks for all, and so for who asks too much."""
    resolver = start_stub(lab, stub) if stub else WORLD4
    set_resolvers(lab, resolver, options="attempts:3 timeout:2")  # one may be lost on a busy machine
    daemon = lab.start_daemon(f"allow localhost - -\nallow localhost - -src\nallow {WORLD4} 53 udp\n")
    flood = lab.spawn([PYTHON, "-c", ASK, resolver], user=ATTACKER, stdin=subprocess.PIPE)
    wait_until(lambda: is_crowded(daemon))
    wait_until(lambda: lab.run(["getent", "ahostsv4", "shop.test"]).returncode == 0)  # all that came before is read
    found = [lab.run(["getent", "ahostsv4", name]) for name in PAGE_NAMES[:10]]
    assert flood.stdin
    flood.stdin.close()
    assert [each.returncode for each in found] == [0] * 10, daemon.cli("status").stdout
    assert count_losses(daemon)[KERNEL_LOSSES["lost_messages"]]
    flood.wait(timeout=WAIT_S)
    wait_until(lambda: not is_crowded(daemon))


def test_the_history_keeps_what_was_there_before(lab: Lab) -> None:
    """Of what comes in the name of many machines to an open port it keeps the first ones."""
    daemon = lab.start_daemon("")
    server = lab.spawn([PYTHON, "-c", LISTEN, "udp", str(PORT)], stdin=subprocess.PIPE)
    assert read_line(server) == "listening\n"
    flood = lab.spawn_world([PYTHON, "-c", FLOOD_IN, "udp", HOST4, str(PORT)], stdin=subprocess.PIPE)
    wait_until(lambda: count_losses(daemon)["refused visitors, in the log alone"])
    assert flood.stdin
    flood.stdin.close()
    flood.wait(timeout=WAIT_S)
    kept = daemon.cli("log", "--json", "--lines", "200000").stdout.count('"direction":"inbound"')
    assert 0 <= kept - Share.VISITORS.burst < 60
