"""Attribution of inbound connections when the process that takes them is not the one that bound the port."""

import itertools
import subprocess

import pytest

from tests.lab.daemon import Record
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_line, wait_listening, write_line
from tests.lab.test_attribution_inbound import come, visit
from tests.lab.watched_lab import ALLOW_ALL, PYTHON, WatchedLab
from tests.lab.world import HOST4, HOST6, MORE_WORLD4, PROGRAMS

pytestmark = [pytest.mark.privileged]

HANDOVER = str(PROGRAMS / "pass_on.py")
ROOT, NOBODY = 0, 65534
_ports = itertools.count(7400)
KINDS = pytest.mark.parametrize("kind", ["tcp", "udp"])
ADDRESSES = pytest.mark.parametrize("address", [HOST4, HOST6])
HANDED_ON = [
    ("execute", "inherited", ROOT),
    ("activate", "inherited", ROOT),
    ("activate_and_close", "inherited", ROOT),
    ("pass_on", "passed", ROOT),
    ("pass_on_and_close", "passed", ROOT),
    ("become_daemon", "become_daemon", ROOT),
    ("change_user", "change_user", NOBODY),
]
WAYS = pytest.mark.parametrize(("way", "heir", "uid"), HANDED_ON)
TOLD_TO_THE_KERNEL = ("execute", "activate", "activate_and_close", "pass_on", "become_daemon")
BINDER_IS_GONE = ("pass_on", "become_daemon")


class Handover:
    """`tests/lab/programs/pass_on.py`, on a port of its own."""

    def __init__(self, lab: Lab, way: str, kind: str, address: str) -> None:
        self.port = next(_ports)
        self.way = way
        self.address = address
        self._visitor = "udp" if kind == "udp" else "tcp"
        command = [PYTHON, HANDOVER, way, kind, address, str(self.port)]
        self._lab = lab
        self._process = lab.spawn(command, stdin=subprocess.PIPE)
        self.binder = self._read_pid("bound")

    def take_one(self) -> None:
        """Let a visitor in to the binder itself, before it hands its socket on."""
        write_line(self._process, "take")
        self.come()

    def hand_on(self) -> int:
        """Have the binder hand its socket on; the pid of the process that takes what comes from now on."""
        write_line(self._process)
        pid = self._read_pid("serving")
        if self.way in BINDER_IS_GONE:
            self._process.wait(timeout=WAIT_S)
        return pid

    def come(self) -> None:
        come(self._lab, self._visitor, self.address, self.port)

    def visit(self, watched: WatchedLab) -> Record:
        return visit(watched, self._visitor, self.address, self.port)

    def _read_pid(self, word: str) -> int:
        said, pid = read_line(self._process).split()
        assert said == word
        return int(pid)


def is_it(record: Record, word: str, pid: int, uid: int) -> bool:
    said = (record["program"], record["args"][:1], record["pid"], record["uid"])
    return said == (HANDOVER, [word], pid, uid)


@KINDS
@ADDRESSES
@WAYS
def test_a_port_belongs_to_the_process_that_takes_what_comes_now(
    watched: WatchedLab, way: str, heir: str, uid: int, kind: str, address: str
) -> None:
    """Also right after a visitor of the binder was let in, for those ways in which a BPF hook sees the handover."""
    handover = Handover(watched.lab, way, kind, address)
    if way in TOLD_TO_THE_KERNEL:
        handover.take_one()
    pid = handover.hand_on()
    record = handover.visit(watched)
    assert is_it(record, heir, pid, uid), record
    assert record["attribution"] == "bpf"
    handover.come()
    records = [each for each in watched.daemon.records("connection") if each["local_port"] == handover.port]
    assert records[-1] == record  # by now the kernel decides alone again


def test_ports_that_were_handed_on_before_the_daemon_started(lab: Lab) -> None:
    cases = list(itertools.product(HANDED_ON, ("tcp", "udp"), (HOST4, HOST6)))
    handovers = [Handover(lab, way, kind, address) for (way, _heir, _uid), kind, address in cases]
    pids = [handover.hand_on() for handover in handovers]
    watched = WatchedLab.watch(lab)
    for ((_way, heir, uid), _kind, _address), handover, pid in zip(cases, handovers, pids, strict=True):
        record = handover.visit(watched)
        assert is_it(record, heir, pid, uid), record
        assert record["attribution"] == "procfs"


@WAYS
def test_a_port_of_multipath_tcp_belongs_to_the_process_that_takes_what_comes_now(
    lab: Lab, way: str, heir: str, uid: int
) -> None:
    """sock_diag shows such a port as a socket that the kernel made; a daemon that starts later finds the program."""
    watched = WatchedLab.watch(lab)
    handover = Handover(lab, way, "mptcp", HOST4)
    pid = handover.hand_on()
    record = handover.visit(watched)
    assert is_it(record, heir, pid, uid)
    if heir in ("inherited", "change_user"):  # the kernel decides the next one alone: no record is added
        handover.come()
        assert watched.daemon.records("connection")[-1] == record
    watched.daemon.kill()
    watched.daemon = lab.restart_daemon(watched.daemon.rules.parent)
    record = handover.visit(watched)
    assert is_it(record, heir, pid, uid), record
    assert record["attribution"] == "bpf"


@ADDRESSES
@pytest.mark.parametrize(
    ("way", "heir", "uid"),
    [
        ("pass_on_and_keep", "passed", ROOT),
        ("pass_on_and_close", "passed", ROOT),
        ("change_user", "change_user", NOBODY),
        ("fork_worker", "fork_worker", NOBODY),
    ],
)
def test_the_process_that_accepts_a_connection_has_the_port(
    watched: WatchedLab, way: str, heir: str, uid: int, address: str
) -> None:
    """No hook saw the handover, so the first visitor is let in by the binder's verdict; accept() then has a hook."""
    handover = Handover(watched.lab, way, "tcp", address)
    handover.take_one()
    pid = handover.hand_on()
    handover.come()
    record = handover.visit(watched)
    assert is_it(record, heir, pid, uid), record


# Has two sockets on one port. A child of another user connects one of them, or sends by it, and so that one belongs to
# the child; what comes from elsewhere goes to the other one.
USE_ONE = """
import os, signal, socket, sys
def bind(address):
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((address, 7399))
    return bound
one, way = bind(sys.argv[1]), sys.argv[3]
if way == "send":
    one.connect((sys.argv[2], 9))
told, tells = os.pipe()
if not os.fork():
    os.setuid(65534)
    one.send(b"x") if way == "send" else one.connect((sys.argv[2], 9))
    os.write(tells, b"x")
    signal.pause()
os.read(told, 1)
other = bind("")
print("listening", flush=True)
other.recv(16)
print("got", flush=True)
"""


@pytest.mark.parametrize("way", ["connect", "send"])
def test_a_process_that_uses_one_socket_on_a_port_does_not_own_the_other(lab: Lab, way: str) -> None:
    """A packet was once judged again and again, since kernel side and daemon each named another receiver."""
    lab.start_daemon(ALLOW_ALL)
    server = lab.spawn([PYTHON, "-c", USE_ONE, HOST4, MORE_WORLD4[0], way])
    wait_listening(server)
    come(lab, "udp", HOST4, 7399)
    assert read_line(server) == "got\n"
