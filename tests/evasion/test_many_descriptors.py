"""A program with thousands of sockets and descriptors costs the daemon hardly more time than another: all packets wait
while it searches.
"""

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
from tests.lab.patience import WAIT_S, read_line, read_rest, wait_until, write_line
from tests.lab.queue_counter import count_queued, count_waiting
from tinysnitch.kernel.attribution.socket_holders import MOST_WAITING
from tinysnitch.kernel.proc import procfs

pytestmark = [pytest.mark.privileged]

NO_INODE = 0  # no socket has it
RULES = "allow localhost - -\nallow localhost - -src\n"
# Binds 60,000 sockets, 1000 in each of 60 processes.
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
# Makes a connection, and prints how long the daemon has worked meanwhile, in clock ticks (proc_pid_stat(5)).
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
    """Run an attacker's program in the block; it has said that it is ready."""
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


def measure_scan(pid: int) -> float:
    """Seconds of this machine's processor for a search through all descriptors of the attack's process."""
    assert len(os.listdir(f"/proc/{pid}/fd")) > 3900
    taken = []
    for _ in range(5):
        before_s = time.thread_time()
        assert procfs.find_socket(pid, NO_INODE) is None
        taken.append(time.thread_time() - before_s)
    return min(taken)


@pytest.fixture
def lab(_clean_machine: None) -> Iterator[Lab]:
    with Lab() as made:
        yield made


# One for each test: the share that an attack was limited to (bpf/programs/rate_limit.bpf.c) holds for a while after it.
@pytest.fixture
def daemon(lab: Lab) -> Daemon:
    return lab.start_daemon(RULES, timeout_s=0)


@pytest.mark.parametrize("kind", ["SOCK_DGRAM", "SOCK_STREAM"])
def test_a_port_that_is_closed_beside_many_that_are_open(lab: Lab, daemon: Daemon, kind: str) -> None:
    with started(lab, FILL, kind):
        before_s = read_cpu_s(daemon)
        knocked = lab.run([PYTHON, "-c", KNOCK, kind], user=ATTACKER, timeout_s=3 * WAIT_S)
        assert knocked.returncode == 0, knocked.stderr
        assert read_cpu_s(daemon) - before_s < 0.5


# Sends a datagram to each of 380 sockets of its own, which stand behind 3700 other descriptors: 4096 are searched.
BEHIND = """
import contextlib, os, resource, socket, sys
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
others = [os.open("/dev/null", os.O_RDONLY) for _ in range(3700)]
visited = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(380)]
for each in visited:
    each.bind(("127.0.0.1", 0))
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print("ready", flush=True)
while os.read(0, 1):
    for each in visited:
        with contextlib.suppress(PermissionError):  # beyond our share
            sender.sendto(b"x", each.getsockname())
"""
# Sends to a socket whose maker has ended after passing it on: all processes have to be searched for its holder.
ORPHAN = """
import contextlib, os, resource, socket, sys
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
    with contextlib.suppress(PermissionError):  # beyond our share
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", bound.getsockname())
"""


# Without a limit the daemon makes 380 scans for the first, and 80 for the second.
@pytest.mark.parametrize(("attack", "scans"), [(BEHIND, 190), (ORPHAN, 30)], ids=["behind", "orphan"])
def test_others_do_not_wait_for_the_search_of_many_descriptors(
    lab: Lab, daemon: Daemon, attack: str, scans: int
) -> None:
    with started(lab, attack) as running:
        limit_s = scans * measure_scan(running.pid)
        queued = count_queued(lab)
        write_line(running, "x" * 8)
        wait_until(lambda: count_queued(lab) > queued)  # the connection shall come behind the attack's datagrams
        knocked = lab.run([PYTHON, "-c", CONNECT, str(daemon.process.pid)], user=ATTACKER)
        assert knocked.returncode == 0, knocked.stderr
        assert int(knocked.stdout) / os.sysconf("SC_CLK_TCK") < limit_s


def test_what_waits_for_a_scan_leaves_room_in_the_queue_for_others(lab: Lab, daemon: Daemon) -> None:
    with started(lab, ORPHAN) as running:
        write_line(running, "x" * 3000)
        wait_until(lambda: count_losses(daemon)["packets dropped, waited too long"])
        wait_until(lambda: count_waiting(lab) <= MOST_WAITING)  # once all have been looked at
