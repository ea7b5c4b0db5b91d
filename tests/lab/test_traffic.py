"""What connections carried is counted as the other end counts it, also of those that the kernel decides by itself."""

import json
import subprocess

import pytest

from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.patience import wait_listening, wait_until
from tests.lab.queue_counter import count_queued
from tests.lab.world import HOST4, HOST6, MORE_WORLD4, PROGRAMS, WORLD4, WORLD6

pytestmark = [pytest.mark.privileged]

PYTHON = "/usr/bin/python3"
UP, DOWN, TIMES = 200_000, 12_345, 50
SERVER = f"""
import socket
server = socket.create_server(("::", 7100), family=socket.AF_INET6, dualstack_ipv6=True, backlog=100)
print("listening", flush=True)
while True:
    client, _ = server.accept()
    with client:
        while client.recv(65536): pass
        client.sendall(bytes({DOWN}))
"""
CLIENT = f"""
import socket, sys
for _ in range(int(sys.argv[2])):
    with socket.create_connection((sys.argv[1], 7100)) as client:
        client.sendall(bytes({UP})); client.shutdown(socket.SHUT_WR)
        count = 0
        while data := client.recv(65536): count += len(data)
        assert count == {DOWN}
"""
TALK = f"""
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    for _ in range({TIMES}):
        client.sendto(bytes(1000), ("{WORLD4}", 9002)); client.recv(2000)
"""


def read_sums(daemon: Daemon, *words: str) -> list[int]:
    """Connections, bytes in and bytes out of all rows about it."""
    told = daemon.cli("history", "--by", "port", "--json", *words)
    lines = list(map(json.loads, told.stdout.splitlines()))
    return [sum(line[what] for line in lines) for what in ("connections", "received", "sent")]


def start(started: subprocess.Popen[str]) -> None:
    wait_listening(started)


@pytest.mark.parametrize(("world", "host"), [(WORLD4, HOST4), (WORLD6, HOST6)])
def test_connections_and_bytes_are_those_of_the_other_end(lab: Lab, world: str, host: str) -> None:
    start(lab.spawn([PYTHON, "-c", SERVER]))
    start(lab.spawn_world([PYTHON, "-c", SERVER]))
    start(lab.spawn_world([PYTHON, str(PROGRAMS / "udp_echo.py"), "9002"]))
    daemon = lab.start_daemon(
        "allow - 7100 tcp\nallow - 9002 udp\nallow - 7100 tcp-src\ndeny - 7101 tcp\n", timeout_s=0
    )
    assert lab.run([PYTHON, "-c", CLIENT, world, str(TIMES)]).returncode == 0
    assert read_sums(daemon, "--port", "7100") == [TIMES, TIMES * DOWN, TIMES * UP]
    assert lab.run_world([PYTHON, "-c", CLIENT, host, "2"]).returncode == 0
    assert read_sums(daemon, "--port", "7100") == [TIMES + 2, TIMES * DOWN + 2 * UP, TIMES * UP + 2 * DOWN]
    told = daemon.cli("history", "--by", "name", "--json", "--port", "7100").stdout
    assert {json.loads(line)["name"] for line in told.splitlines()} == {world}  # both ways
    assert lab.run([PYTHON, "-c", TALK]).returncode == 0
    assert read_sums(daemon, "--port", "9002") == [1, TIMES * 1000, TIMES * 1000]
    for _again in range(3):
        assert lab.run([PYTHON, str(PROGRAMS / "tcp_client.py"), WORLD4, "7101"]).returncode != 0
    assert read_sums(daemon, "--port", "7101", "--denied") == [3, 0, 0]


ENDS = """
import ctypes, socket, struct, sys
def talk(client=None):
    client = client or socket.create_connection((sys.argv[1], 7200))
    client.sendall(bytes(1000)); client.recv(1); return client
reset = talk()
reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); reset.close()
talk().close()  # with unread data
both = talk(); both.shutdown(socket.SHUT_RDWR); both.close()
again = talk(); ctypes.CDLL(None).connect(again.fileno(), bytes(16), 16)  # AF_UNSPEC
again.connect((sys.argv[1], 7200)); talk(again).close()
"""
READER = """
import socket
server = socket.create_server(("0.0.0.0", 7200))
print("listening", flush=True)
while True:
    client, _ = server.accept()
    with client:
        count = 0
        while count < 1000: count += len(client.recv(1000))
        try:
            client.sendall(bytes(10)); client.recv(1)
        except OSError: pass
"""


def test_however_a_connection_ends_what_it_carried_is_counted_once(lab: Lab) -> None:
    start(lab.spawn([PYTHON, "-c", READER]))
    start(lab.spawn_world([PYTHON, "-c", READER]))
    daemon = lab.start_daemon("allow - 7200 tcp\nallow - 7200 tcp-src\n", timeout_s=0)
    assert lab.run([PYTHON, "-c", ENDS, WORLD4]).returncode == 0
    assert read_sums(daemon) == [5, 50, 5000]
    assert lab.run_world([PYTHON, "-c", ENDS, HOST4]).returncode == 0
    wait_until(lambda: read_sums(daemon) == [10, 50 + 5000, 5000 + 50])


DENIED4 = MORE_WORLD4[0]
TAKER = """
import socket
server = socket.create_server(("0.0.0.0", 7300), backlog=4096)
print("listening", flush=True)
while True: server.accept()[0].close()
"""
TOGETHER = f"""
for i in $(seq 50); do
    cp "$0" "$0-$i"
    ("$0-$i" tcp {WORLD4} 7300 1000 0; "$0-$i" udp {WORLD4} 9002 600 0; "$0-$i" tcp {DENIED4} 7300 400 0) &
done
wait
"""


def read_programs(daemon: Daemon, *words: str) -> list[list[int]]:
    lines = map(json.loads, daemon.cli("history", "--by", "program", "--json", *words).stdout.splitlines())
    return [[line[what] for what in ("connections", "denied", "received", "sent")] for line in lines]


def read_losses(daemon: Daemon) -> int:
    return sum(json.loads(daemon.cli("status", "--json").stdout)["losses"].values())


@pytest.mark.slow
def test_of_connections_that_the_kernel_decides_each_is_in_a_row_or_counted_as_lost(lab: Lab) -> None:
    program = str(lab.folder / "many")
    subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "-o", program, PROGRAMS / "many_client.c"], check=True)
    start(lab.spawn_world([PYTHON, "-c", TAKER]))
    start(lab.spawn_world([PYTHON, str(PROGRAMS / "udp_echo.py"), "9002"]))
    daemon = lab.start_daemon(f"allow {WORLD4} - -\ndeny {DENIED4} - -\n", timeout_s=0)
    queued = count_queued(lab)
    assert lab.run(["sh", "-c", TOGETHER, program]).stderr == ""
    assert read_programs(daemon) == 50 * [[2000, 400, 600, 600]]
    assert read_losses(daemon) == 0
    assert count_queued(lab) - queued < 1000  # of 100,000: the kernel decided the others
    assert lab.run([program, "tcp", DENIED4, "10000", "12000", "1"]).returncode == 0  # a row for each port: too many
    ((connections, *_sums),) = read_programs(daemon, program)
    assert connections < 12_000
    assert connections + read_losses(daemon) == 12_000
