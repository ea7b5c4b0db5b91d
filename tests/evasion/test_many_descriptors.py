"""Who has sockets and descriptors by the thousand costs the daemon no more time than others, since all wait with it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.evasion.stage import ATTACKER, PYTHON
from tests.lab.daemon import Daemon
from tests.lab.lab import Lab

pytestmark = [pytest.mark.privileged]

RULES = "allow localhost - -\nallow localhost - -src\n"
# So many sockets, by as many processes as it takes.
FILL = """
import os, socket, sys
kind = getattr(socket, sys.argv[1])
end, other_end = os.pipe()
for process in range(60):
    if os.fork():
        continue
    taken = []
    for number in range(1000):
        taken.append(socket.socket(socket.AF_INET, kind))
        taken[-1].bind((f"127.0.1.{process}", 20000 + number))
        if kind == socket.SOCK_STREAM:
            taken[-1].listen(1)
    os.write(other_end, b"x")
    os.read(0, 1)
    os._exit(0)
for _ in range(60):
    os.read(end, 1)
print("full", flush=True)
os.read(0, 1)
"""
KNOCK = """
import socket, sys
for _ in range(100):
    used = socket.socket(socket.AF_INET, getattr(socket, sys.argv[1]))
    used.settimeout(5)
    try:
        used.connect(("127.0.0.1", 9))
        used.send(b"x")
        used.recv(1)
    except ConnectionRefusedError:
        continue
    sys.exit("somebody listens there")
"""


@contextmanager
def started(lab: Lab, program: str, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """The attacker's, once it has said that it is ready, up to its end."""
    running = lab.spawn([PYTHON, "-c", program, *words], user=ATTACKER, stdin=subprocess.PIPE)
    assert running.stdin
    assert running.stdout
    assert running.stdout.readline() in ("full\n", "ready\n")
    yield running
    running.stdin.close()
    assert running.stdout.read() == ""
    running.wait(timeout=10)


def read_cpu_s(daemon: Daemon) -> float:
    with open(f"/proc/{daemon.process.pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def lab(_clean_machine: None) -> Iterator[Lab]:
    with Lab() as made:
        yield made


@pytest.fixture(scope="module")
def daemon(lab: Lab) -> Daemon:
    return lab.start_daemon(RULES, timeout_s=0)


@pytest.mark.parametrize("kind", ["SOCK_DGRAM", "SOCK_STREAM"])
def test_a_port_that_is_closed_beside_many_that_are_open(lab: Lab, daemon: Daemon, kind: str) -> None:
    with started(lab, FILL, kind):
        before_s = read_cpu_s(daemon)
        knocked = lab.run([PYTHON, "-c", KNOCK, kind], user=ATTACKER, timeout_s=60)
        assert knocked.returncode == 0, knocked.stderr
        assert read_cpu_s(daemon) - before_s < 0.5
