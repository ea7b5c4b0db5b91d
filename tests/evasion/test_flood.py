"""One program or remote causes more packets than the daemon can judge: those of others are judged all the same."""

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
from tinysnitch.daemon.logs.recorder import Share
from tinysnitch.daemon.requests.counters import KERNEL_LOSSES

pytestmark = [pytest.mark.privileged, pytest.mark.slow]

HONEST = "/usr/bin/curl"
PORT = 7320
# Opens a port, says so, and never reads from it.
LISTEN = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if sys.argv[1] == "udp" else socket.SOCK_STREAM)
server.bind(("", int(sys.argv[2])))
if sys.argv[1] == "tcp":
    server.listen()
print("listening", flush=True)
sys.stdin.read()
"""
# Sends packets with the addresses of thousands of machines as sources, and another source port each time, until its
# stdin is closed or for 60 s.
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
# Two processes connect to one port after another, without waiting.
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
# Sends a datagram to each of 1000 ports at once; each is a decision of its own.
BURST = """
import socket, sys
asks = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in range(6000, 7000):
    asks.sendto(b"", (sys.argv[1], port))
"""
# One machine of the world sends from the mDNS port, so that each datagram may hold an answer that has to be read.
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
# Two processes ask for another name each time. They use 16 sockets, since only some 280 packets of one socket may wait.
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
    """Connect by a new process each time, so that no verdict is remembered for it."""
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
    assert count_losses(daemon)[KERNEL_LOSSES["lost_over_quota"]]
    flood.wait(timeout=WAIT_S)


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_a_flood_to_an_open_port_from_machines_that_no_rule_names(lab: Lab, kind: str) -> None:
    daemon = lab.start_daemon(f"allow - 80 tcp {HONEST}\n")
    server = lab.spawn([PYTHON, "-c", LISTEN, kind, str(PORT)], stdin=subprocess.PIPE)
    assert read_line(server) == "listening\n"
    flood = lab.spawn_world([PYTHON, "-c", FLOOD_IN, kind, HOST4, str(PORT)], stdin=subprocess.PIPE)
    assert_that_others_are_heard(lab, daemon, flood)


def test_a_flood_to_a_closed_port(lab: Lab) -> None:
    daemon = lab.start_daemon(f"allow - 80 tcp {HONEST}\n")
    flood = lab.spawn_world([PYTHON, "-c", FLOOD_IN, "tcp", HOST4, str(PORT)], stdin=subprocess.PIPE)
    assert_that_others_are_heard(lab, daemon, flood)


def test_a_flood_of_connections_of_another_users_program(lab: Lab) -> None:
    daemon = lab.start_daemon(f"allow - 80 tcp {HONEST}\n")
    flood = lab.spawn([PYTHON, "-c", FLOOD_OUT, WORLD4], user=ATTACKER, stdin=subprocess.PIPE)
    assert_that_others_are_heard(lab, daemon, flood)


def test_once_a_flood_is_over_a_program_may_send_any_number_again(lab: Lab) -> None:
    """The limits end by themselves: no further packet has to come first."""
    daemon = lab.start_daemon(f"allow {WORLD4} 1-65535 udp\n")  # of each port there is a decision
    flood = lab.spawn([PYTHON, "-c", FLOOD_OUT, WORLD4], user=ATTACKER, stdin=subprocess.PIPE)
    wait_until(lambda: count_losses(daemon)[KERNEL_LOSSES["lost_over_quota"]])
    wait_until(lambda: is_crowded(daemon))
    assert flood.stdin
    flood.stdin.close()
    flood.wait(timeout=WAIT_S)
    wait_until(lambda: are_at_rest(daemon.process.pid))  # all that came until now has been judged or is held
    wait_until(lambda: not is_crowded(daemon))
    before = count_losses(daemon)[KERNEL_LOSSES["lost_over_quota"]]
    burst = lab.run([PYTHON, "-c", BURST, WORLD4])
    assert (burst.returncode, burst.stdout) == (0, "")
    wait_until(lambda: daemon.cli("log", "--json", "--lines", "2000").stdout.count('"protocol":"udp"') == 1000)
    assert count_losses(daemon)[KERNEL_LOSSES["lost_over_quota"]] == before
    assert not is_crowded(daemon)


def test_a_flood_of_seeming_mdns_answers_costs_no_dns_message(lab: Lab) -> None:
    """They go to a port that is open to everybody. Messages of resolvers are read meanwhile, and none is dropped."""
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


def can_find(lab: Lab, name: str, times: int) -> bool:
    return any(lab.run(["getent", "ahostsv4", name]).returncode == 0 for _ in range(times))


# On a busy machine dnsmasq itself loses every other question: its receive buffer is full.
@pytest.mark.parametrize(("stub", "times"), [(None, 1), ("dnsmasq", 5)])
def test_a_flood_of_questions_for_names(lab: Lab, stub: str | None, times: int) -> None:
    """Another user asks. With a stub resolver all questions come from that one program, the attacker's and others'."""
    resolver = start_stub(lab, stub) if stub else WORLD4
    set_resolvers(lab, resolver, options="attempts:3 timeout:2")
    daemon = lab.start_daemon(f"allow localhost - -\nallow localhost - -src\nallow {WORLD4} 53 udp\n")
    flood = lab.spawn([PYTHON, "-c", ASK, resolver], user=ATTACKER, stdin=subprocess.PIPE)
    wait_until(lambda: is_crowded(daemon))
    wait_until(lambda: lab.run(["getent", "ahostsv4", "shop.test"]).returncode == 0)  # all that came before was read
    found = [can_find(lab, name, times) for name in PAGE_NAMES[:10]]
    assert flood.stdin
    flood.stdin.close()
    assert all(found), daemon.cli("status").stdout
    assert count_losses(daemon)[KERNEL_LOSSES["lost_messages"]]
    flood.wait(timeout=WAIT_S)
    wait_until(lambda: not is_crowded(daemon))


def test_the_history_keeps_only_the_first_of_a_flood(lab: Lab) -> None:
    """Packets from many machines to an open port would push all earlier records out of it."""
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
