"""Who has sockets and descriptors by the thousand costs the daemon no more time than others, since all wait with it."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.evasion.stage import ATTACKER, PYTHON
from tests.evasion.test_flood import count_losses
from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_line, read_rest, wait_until
from tests.lab.queue_counter import count_waiting
from tinysnitch.kernel.socket_holders import MOST_WAITING

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
for _ in range(300):
    used = socket.socket(socket.AF_INET, getattr(socket, sys.argv[1]))
    used.settimeout(60)
    try:
        used.connect(("127.0.0.1", 9))
        used.send(b"x")
        used.recv(1)
    except ConnectionRefusedError:
        continue
    sys.exit("somebody listens there")
"""
# Says how long the daemon worked meanwhile, in ticks of the processor (proc_pid_stat(5)).
CONNECT = """
import socket, sys
def read_ticks():
    with open(f"/proc/{sys.argv[1]}/stat") as file:
        return sum(map(int, file.read().rpartition(")")[2].split()[11:13]))
server = socket.create_server(("127.0.0.1", 0))
before = read_ticks()
socket.create_connection(server.getsockname(), timeout=60)
print(read_ticks() - before)
"""


@contextmanager
def started(lab: Lab, program: str, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """The attacker's, once it has said that it is ready, up to its end."""
    running = lab.spawn([PYTHON, "-c", program, *words], user=ATTACKER, stdin=subprocess.PIPE)
    assert running.stdin
    assert read_line(running) in ("full\n", "ready\n")
    yield running
    running.stdin.close()
    assert read_rest(running) == ""
    running.wait(timeout=WAIT_S)


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
        knocked = lab.run([PYTHON, "-c", KNOCK, kind], user=ATTACKER, timeout_s=3 * WAIT_S)
        assert knocked.returncode == 0, knocked.stderr
        assert read_cpu_s(daemon) - before_s < 0.5


# A datagram to each of so many sockets, one after the other, behind as many descriptors as are looked at.
BEHIND = """
import os, resource, socket, sys
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
others = [os.open("/dev/null", os.O_RDONLY) for _ in range(3900)]
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print("ready", flush=True)
while os.read(0, 1):
    visited = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(100)]
    for each in visited:
        each.bind(("127.0.0.1", 0))
    for each in visited:
        sender.sendto(b"x", each.getsockname())
    for each in visited:
        each.close()
"""
# Its socket is another's by then, and so all processes are looked through.
ORPHAN = """
import os, resource, socket, sys
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
others = [os.open("/dev/null", os.O_RDONLY) for _ in range(3900)]
end, _other_end = os.pipe()
for _ in range(50):
    if os.fork() == 0:
        os.close(_other_end)
        os._exit(len(os.read(end, 1)))
near, far = socket.socketpair()
if os.fork() == 0:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("127.0.0.1", 0))
    socket.send_fds(far, [b"x"], [bound.fileno()])
    os._exit(0)
bound = socket.socket(fileno=socket.recv_fds(near, 1, 1)[1][0])
print("ready", flush=True)
while os.read(0, 1):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", bound.getsockname())
"""


@pytest.mark.parametrize("attack", [BEHIND, ORPHAN], ids=["behind", "orphan"])
def test_nobody_else_waits_for_who_has_many_descriptors(lab: Lab, daemon: Daemon, attack: str) -> None:
    with started(lab, attack) as running:
        assert running.stdin
        running.stdin.write("x" * 8)
        running.stdin.flush()
        time.sleep(0.2)
        knocked = lab.run([PYTHON, "-c", CONNECT, str(daemon.process.pid)], user=ATTACKER)
        assert knocked.returncode == 0, knocked.stderr
        assert int(knocked.stdout) / os.sysconf("SC_CLK_TCK") < 1.2


def test_others_find_a_place_beside_all_that_waits_for_a_scan(lab: Lab, daemon: Daemon) -> None:
    with started(lab, ORPHAN) as running:
        assert running.stdin
        running.stdin.write("x" * 3000)
        running.stdin.flush()
        wait_until(lambda: count_losses(daemon)["packets dropped, waited too long"])
        wait_until(lambda: count_waiting(lab) <= MOST_WAITING)  # once all have been looked at
