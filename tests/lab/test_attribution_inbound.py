"""Attribution of inbound connections: they belong to the process whose socket takes them."""

import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.lab.daemon import Record
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_line, wait_listening
from tests.lab.wakeups import stand_still
from tests.lab.watched_lab import PYTHON, WatchedLab
from tests.lab.world import ECHO_PORT, HOST4, HOST6, MORE_WORLD4, PROGRAMS, WORLD4
from tinysnitch.daemon.logs.recorder import Share

pytestmark = [pytest.mark.privileged]

RECEIVER = str(PROGRAMS / "receiver.py")
CLIENT = """
import socket, sys
kind, address, port, local = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as client:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.bind(("", local))
    client.connect((address, port))
    client.send(b"x")
    if kind == "tcp":
        client.recv(1)
"""
_ports = itertools.count(20000)
KINDS = pytest.mark.parametrize("kind", ["tcp", "udp"])


@contextmanager
def receiver(lab: Lab, *words: str, program: str = RECEIVER) -> Iterator[subprocess.Popen[str]]:
    """Run a program that listens, and kill it at the end of the block."""
    server = lab.spawn([PYTHON, program, *words])
    wait_listening(server)
    yield server
    server.kill()
    server.wait(timeout=WAIT_S)


def come(lab: Lab, kind: str, address: str, port: int) -> int:
    """Connect from the world, from a port that was not used before; that port."""
    local = next(_ports)
    done = lab.run_world([PYTHON, "-c", CLIENT, kind, address, str(port), str(local)])
    assert done.returncode == 0, done.stderr
    return local


def visit(watched: WatchedLab, kind: str, address: str, port: int) -> Record:
    """Connect from the world; the decision on that."""
    local = come(watched.lab, kind, address, port)
    return watched.daemon.wait_connection(direction="inbound", local_port=port, remote_port=local)


def got(server: subprocess.Popen[str]) -> bool:
    return read_line(server) == "got\n"


@pytest.mark.core_lab
@KINDS
@pytest.mark.parametrize(
    ("bound", "address"), [("0.0.0.0", HOST4), (HOST4, HOST4), ("::", HOST4), ("::", HOST6), (HOST6, HOST6)]
)
def test_the_listener_is_named(watched: WatchedLab, kind: str, bound: str, address: str) -> None:
    """It is bound to any address of one family, to any of both (`::`), or to one address."""
    with receiver(watched.lab, kind, bound, "7100") as server:
        record = visit(watched, kind, address, 7100)
        assert got(server)
    assert (record["program"], record["pid"], record["attribution"]) == (RECEIVER, server.pid, "bpf")


@pytest.mark.parametrize("way", ["zombie", "thread"])
def test_a_listener_whose_main_thread_does_not_have_the_socket_is_named(watched: WatchedLab, way: str) -> None:
    """The main thread has ended (`zombie`), or another thread has descriptors of its own (`thread`)."""
    program = str(PROGRAMS / "hidden.py")
    with receiver(watched.lab, way, HOST4, "7120", program=program) as server:
        record = visit(watched, "tcp", HOST4, 7120)
    assert (record["program"], record["pid"], record["attribution"]) == (program, server.pid, "bpf")


IN_RING_ALONE = """
import ctypes, os, socket, sys
bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
bound.bind(("0.0.0.0", int(sys.argv[1])))
syscall = ctypes.CDLL(None, use_errno=True).syscall
io_uring_setup, io_uring_register, register_files = 425, 427, 2
ring = syscall(io_uring_setup, 4, ctypes.create_string_buffer(120))  # struct io_uring_params
if syscall(io_uring_register, ring, register_files, (ctypes.c_int * 1)(bound.fileno()), 1) < 0:
    sys.exit(os.strerror(ctypes.get_errno()))
bound.close()
print("listening", flush=True)
sys.stdin.read()
"""


def test_a_socket_that_only_an_io_uring_holds_is_of_an_unknown_program(watched: WatchedLab) -> None:
    holder = watched.lab.spawn([PYTHON, "-c", IN_RING_ALONE, "7117"], stdin=subprocess.PIPE)
    wait_listening(holder)
    assert visit(watched, "udp", HOST4, 7117)["program"] == "unknown"
    holder.kill()
    holder.wait(timeout=WAIT_S)


@KINDS
def test_a_socket_bound_to_the_address_goes_before_one_for_all(watched: WatchedLab, kind: str) -> None:
    words = (kind, "0.0.0.0", "7102", "reuse_port")
    with receiver(watched.lab, *words) as wide:
        with receiver(watched.lab, kind, HOST4, "7102", "reuse_port") as narrow:
            assert visit(watched, kind, HOST4, 7102)["pid"] == narrow.pid
        assert visit(watched, kind, HOST4, 7102)["pid"] == wide.pid


@KINDS
@pytest.mark.parametrize(("bound", "address"), [("0.0.0.0", HOST4), ("::", HOST6)])
def test_what_comes_from_this_machine_goes_to_the_listener_on_the_interface_of_the_address(
    watched: WatchedLab, kind: str, bound: str, address: str
) -> None:
    """It comes by lo, but a socket bound to that interface takes it (inet_iif()), before one for all interfaces."""
    other = watched.lab.folder / "receiver.py"
    other.write_bytes((PROGRAMS / "receiver.py").read_bytes())
    words = (kind, bound, "7123", "reuse_address")
    with ExitStack() as stack:
        if kind == "udp":
            stack.enter_context(receiver(watched.lab, *words, program=str(other)))
        server = stack.enter_context(receiver(watched.lab, *words, "device"))
        local = next(_ports)
        watched.run([PYTHON, "-c", CLIENT, kind, address, "7123", str(local)])
        record = watched.daemon.wait_connection(direction="inbound", local_port=7123, remote_port=local)
        assert (record["program"], record["pid"]) == (RECEIVER, server.pid)
        assert got(server)


def test_a_client_that_sent_first_takes_what_comes_later(watched: WatchedLab) -> None:
    """A socket that was never bound gets its port at the first sendto()."""
    script = f"""
import socket
used = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
used.sendto(b"x", ("{WORLD4}", 9))
print(used.getsockname()[1], flush=True)
used.recv(10)
"""
    client = watched.lab.spawn([PYTHON, "-c", script])
    port = int(read_line(client))
    record = visit(watched, "udp", HOST4, port)
    assert (record["pid"], record["program"]) == (client.pid, os.path.realpath("/usr/bin/python3"))
    assert client.wait(timeout=WAIT_S) == 0


ASK = """
import socket, sys
asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asker.settimeout(10)
asker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
asker.bind((sys.argv[1], 7122))
asker.sendto(b"x", (sys.argv[2], int(sys.argv[3])))
asker.recv(10)
"""


@pytest.mark.parametrize("inbound", ["", "deny - - -src\n"])
def test_a_program_that_shares_a_port_gets_the_answer_to_what_it_sent(lab: Lab, inbound: str) -> None:
    """Only sock_diag can tell which of the two sockets gets the answer: the BPF tables cannot."""
    daemon = lab.start_daemon(f"allow {WORLD4} {ECHO_PORT} udp\n{inbound}")
    with receiver(lab, "udp", "0.0.0.0", "7122", "reuse_address"):
        asked = lab.run([PYTHON, "-c", ASK, HOST4, WORLD4, str(ECHO_PORT)])
    assert asked.returncode == 0, f"{asked.stderr}\n{daemon.describe()}"
    assert daemon.records("ask") == []


@KINDS
def test_a_listener_from_before_the_daemons_start_is_named(lab: Lab, kind: str) -> None:
    with receiver(lab, kind, "0.0.0.0", "7105") as server:
        watched = WatchedLab.watch(lab)
        record = visit(watched, kind, HOST4, 7105)
        assert got(server)
    assert (record["program"], record["pid"], record["attribution"]) == (RECEIVER, server.pid, "procfs")


SEND_RAW = """
import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_RAW, int(sys.argv[2])).sendto(bytes(24), (sys.argv[1], 0))
"""


@pytest.mark.parametrize("protocol", [33, 132, 136])
def test_what_a_program_may_take_by_another_protocol_is_not_the_kernels(watched: WatchedLab, protocol: int) -> None:
    """DCCP, SCTP and UDP-Lite have ports, but no hook tells whose they are: the program is unknown."""
    sent = watched.lab.run_world([PYTHON, "-c", SEND_RAW, HOST4, str(protocol)])
    assert sent.returncode == 0, sent.stderr
    record = watched.daemon.wait_connection(direction="inbound", protocol=str(protocol))
    assert (record["program"], record["attribution"]) == ("unknown", "unknown")


COME_OFTEN = """
import socket, sys
clients = [socket.socket() for _ in range(64)]
for client in clients:
    client.setblocking(False)
    client.connect_ex((sys.argv[1], 7124))
print("listening", flush=True)
sys.stdin.read()
"""


def test_a_syn_that_is_sent_again_while_it_is_held_is_attributed_to_the_listener(watched: WatchedLab) -> None:
    """The second SYN is judged when the first has made a connection already, which nobody has accepted yet."""
    with receiver(watched.lab, "tcp", HOST4, "7124") as server:
        stand_still(watched.daemon.process.pid)
        wait_listening(watched.lab.spawn_world([PYTHON, "-c", COME_OFTEN, HOST4], stdin=subprocess.PIPE))
        stand_still(server.pid)
        time.sleep(1.5)  # TCP sends a SYN again after one second
        watched.daemon.process.send_signal(signal.SIGCONT)
        watched.daemon.wait_for_count(lambda record: record.get("local_port") == 7124, 64)
        with receiver(watched.lab, "udp", HOST4, "7125"):
            visit(watched, "udp", HOST4, 7125)  # once this is judged, all before it is
    records = [record for record in watched.daemon.records("connection") if record["local_port"] == 7124]
    assert {record["pid"] for record in records} == {server.pid}


NOT_TAKING = """
import socket, sys
taker = socket.socket(socket.AF_INET, socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM)
taker.bind((sys.argv[2], 7121))
if sys.argv[1] == "udp":
    taker.connect((sys.argv[3], 9))
print("listening", flush=True)
sys.stdin.read()
"""


@KINDS
def test_nobody_is_asked_about_what_the_socket_on_its_port_does_not_take(lab: Lab, kind: str) -> None:
    """The TCP socket is bound but does not listen (a client with a port of its choice); the UDP socket is connected."""
    daemon = lab.start_daemon("")
    wait_listening(lab.spawn([PYTHON, "-c", NOT_TAKING, kind, HOST4, MORE_WORLD4[0]], stdin=subprocess.PIPE))
    lab.run_world([PYTHON, "-c", CLIENT, kind, HOST4, "7121", "19999"])
    record = daemon.wait_connection(direction="inbound", remote_port=19999)
    assert (record["verdict"], record["reason"]) == ("deny", "no program listens on this port")
    assert daemon.records("ask") == []


def test_a_port_scan_pushes_nothing_out_of_the_history(lab: Lab) -> None:
    """Any remote can send any number of packets to closed ports, so only some of them get into the history."""
    daemon = lab.start_daemon("")
    scan = f"import socket\nfor port in range(2000, 3000): socket.socket(2, 2).sendto(b'x', ('{HOST4}', port))"
    assert lab.run_world([PYTHON, "-c", scan]).returncode == 0
    counter = "packets to ports that no program listens on, in the log alone"
    daemon.wait_connections(1000)
    assert len(daemon.records("connection")) == 1000
    kept = daemon.cli("log", "--json").stdout.count('"event":"connection"')
    assert 0 <= kept - Share.CLOSED_PORTS.burst < 10
    assert json.loads(daemon.cli("status", "--json").stdout)["losses"][counter] == 1000 - kept
    assert daemon.records("lost") == []
