"""What comes in to a port is judged for the program that will get it, not for an earlier one or one that shares it."""

import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from tests.evasion.stage import PYTHON, Stage
from tests.lab.daemon import Record
from tests.lab.patience import WAIT_S, read_line, read_rest, read_until, wait_listening, write_line
from tests.lab.world import HOST4, WORLD4

pytestmark = [pytest.mark.privileged]

VISIT = """
import socket, sys
kind, address, port, local = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
with socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as client:
    client.bind(("", local))
    client.connect((address, port))
    client.send(b"x")
"""
KINDS = pytest.mark.parametrize("kind", ["tcp", "udp"])
ANSWER_S, SILENCE_S = WAIT_S, 1.0  # how long to wait for an answer that must come, and for one that must not
_ports = count(30000)


@contextmanager
def receiver(stage: Stage, program: Path, *words: str, user: str | None = None) -> Iterator[subprocess.Popen[str]]:
    server = stage.lab.spawn([PYTHON, str(program), *words], user=user)
    wait_listening(server)
    yield server
    server.kill()
    server.wait(timeout=WAIT_S)


def visit(stage: Stage, kind: str, port: str) -> Record:
    local = next(_ports)
    stage.lab.run_world([PYTHON, "-c", VISIT, kind, HOST4, port, str(local)])
    return stage.daemon.wait_connection(direction="inbound", remote_port=local)


def visit_both(stage: Stage, kind: str, port: str, honest: subprocess.Popen[str], evil: subprocess.Popen[str]) -> None:
    """Visit until both have been chosen: the kernel does so by the visitor's port, so many may go to one. What the
    honest program was named for it got, and the other got nothing."""
    met: list[tuple[str, int, str]] = []
    while len(met) < 16 or (len(set(met)) < 2 and len(met) < 64):
        record = visit(stage, kind, port)
        met.append((record["program"], record["pid"], record["verdict"]))
    honest_one, evil_one = (str(stage.receiver), honest.pid, "allow"), (str(stage.evil_receiver), evil.pid, "deny")
    assert set(met) == {honest_one, evil_one}
    read_until(honest, lambda said: said == ["got\n"] * met.count(honest_one))
    assert_got_nothing(evil)


@KINDS
def test_a_port_taken_over_after_an_allow(stage: Stage, kind: str) -> None:
    honest, evil = stage.receiver, stage.evil_receiver
    with receiver(stage, honest, kind, "0.0.0.0", "7300"):
        assert visit(stage, kind, "7300")["verdict"] == "allow"
    with receiver(stage, evil, kind, "0.0.0.0", "7300", user="nobody") as server:
        record = visit(stage, kind, "7300")
    assert (record["verdict"], record["program"], record["pid"]) == ("deny", str(evil), server.pid)


@KINDS
def test_a_process_named_like_a_line_of_its_status(stage: Stage, kind: str) -> None:
    """The receiver is looked up in /proc/PID/status, where a process's name stands in front of its user."""
    with receiver(stage, stage.evil_receiver, kind, "0.0.0.0", "7314", "called", "a\rUid:\t0", user="nobody") as server:
        record = visit(stage, kind, "7314")
    assert (record["uid"], record["pid"], record["verdict"]) == (pwd.getpwnam("nobody").pw_uid, server.pid, "deny")


@pytest.mark.parametrize("is_evil_first", [True, False])
def test_a_second_user_binds_the_same_port(stage: Stage, is_evil_first: bool) -> None:
    """SO_REUSEADDR lets UDP sockets of two users share a port if both set it; the kernel gives a packet to one."""
    words = ("udp", "0.0.0.0", "7301", "reuse_address")
    order = [(stage.evil_receiver, "nobody"), (stage.receiver, None)]
    first, second = order if is_evil_first else order[::-1]
    with receiver(stage, first[0], *words, user=first[1]), receiver(stage, second[0], *words, user=second[1]) as last:
        record = visit(stage, "udp", "7301")
        assert record["verdict"] == "deny" or read_line(last) == "got\n"
    assert (record["program"], record["pid"]) == (str(second[0]), last.pid)
    assert record["verdict"] == ("allow" if second[0] == stage.receiver else "deny")


def test_another_one_joins_a_port_that_is_shared_already(stage: Stage) -> None:
    """The kernel gives the flow to the newest socket, for which the earlier receiver's verdict does not count."""
    words = ("udp", "0.0.0.0", "7313", "reuse_address")
    evil = (stage.evil_receiver, *words)
    local = next(_ports)
    visit_again = [PYTHON, "-c", TALK, HOST4, "7313", str(local), "x", str(SILENCE_S)]
    with receiver(stage, *evil, user="nobody"), receiver(stage, stage.receiver, *words) as honest:
        stage.lab.run_world(visit_again)
        assert read_line(honest) == "got\n"
        with receiver(stage, *evil, user="nobody") as joined:
            stage.lab.run_world(visit_again)
            record = stage.daemon.wait_for_count(lambda record: record.get("remote_port") == local, 2)[-1]
            assert (record["program"], record["pid"], record["verdict"]) == (
                str(stage.evil_receiver),
                joined.pid,
                "deny",
            )
            assert_got_nothing(joined)


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_a_second_user_takes_the_port_on_one_interface(stage: Stage, address: str) -> None:
    """The kernel prefers that socket, also one for IPv6; a look-up that does not name the interface misses it."""
    words = ("7308", "reuse_address")
    with (
        receiver(stage, stage.receiver, "udp", "0.0.0.0", *words),
        receiver(stage, stage.evil_receiver, "udp", address, *words, "device", user="nobody") as evil,
    ):
        record = visit(stage, "udp", "7308")
        assert (record["program"], record["verdict"]) == (str(stage.evil_receiver), "deny")
        assert_got_nothing(evil)


@KINDS
def test_a_second_user_beside_the_honest_programs_exact_address(stage: Stage, kind: str) -> None:
    """The honest socket gets nothing by another interface than its own; one for any address does (compute_score())."""
    honest, evil = (
        (kind, HOST4, "7309", "reuse_address", "leaves"),
        (kind, "0.0.0.0", "7309", "reuse_address", "device"),
    )
    with receiver(stage, stage.receiver, *honest) as first:
        assert visit(stage, kind, "7309")["verdict"] == "allow"
        assert read_line(first) == "got\n"
        with receiver(stage, stage.evil_receiver, *evil, user="nobody") as second:
            record = visit(stage, kind, "7309")
            assert (record["program"], record["verdict"]) == (str(stage.evil_receiver), "deny")
            assert_got_nothing(second)


@KINDS
def test_a_member_of_the_honest_programs_group(stage: Stage, kind: str) -> None:
    """SO_REUSEPORT: both belong to one user. What the kernel gives to the attacker's socket is denied."""
    words = (kind, "0.0.0.0", "7302", "reuse_port")
    honest, evil = stage.receiver, stage.evil_receiver
    with receiver(stage, honest, *words) as first, receiver(stage, evil, *words) as second:
        visit_both(stage, kind, "7302", first, second)


@KINDS
def test_a_member_of_its_group_while_the_honest_program_starts_anew(stage: Stage, kind: str) -> None:
    words = (kind, "0.0.0.0", "7303", "reuse_port")
    honest, evil = stage.receiver, stage.evil_receiver
    with receiver(stage, evil, *words) as stays:
        with receiver(stage, honest, *words):
            pass
        with receiver(stage, honest, *words) as anew:
            visit_both(stage, kind, "7303", anew, stays)


@KINDS
@pytest.mark.parametrize("is_evil_left", [True, False])
def test_the_member_that_is_left_of_a_group(stage: Stage, kind: str, is_evil_left: bool) -> None:
    words = (kind, "0.0.0.0", "7304", "reuse_port")
    order = (stage.evil_receiver, stage.receiver)
    left, leaving = order if is_evil_left else order[::-1]
    with receiver(stage, left, *words) as server:
        with receiver(stage, leaving, *words):
            pass
        record = visit(stage, kind, "7304")
    assert (record["program"], record["pid"]) == (str(left), server.pid)
    assert record["verdict"] == ("deny" if is_evil_left else "allow")


@pytest.mark.parametrize("is_evil", [True, False])
def test_a_listener_of_multipath_tcp(stage: Stage, is_evil: bool) -> None:
    """It listens by a socket that the kernel makes (mptcp_bind()), and is attributed to the program all the same."""
    program = stage.evil_receiver if is_evil else stage.receiver
    user = "nobody" if is_evil else None
    with receiver(stage, program, "tcp", "0.0.0.0", "7305", "mptcp", user=user) as server:
        record = visit(stage, "tcp", "7305")
    assert (record["program"], record["pid"]) == (str(program), server.pid)
    assert record["verdict"] == ("deny" if is_evil else "allow")


# Answers each datagram with the same text, and prints it.
ECHO = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("0.0.0.0", int(sys.argv[1])))
print("listening", flush=True)
while True:
    data, remote = server.recvfrom(100)
    server.sendto(data, remote)
    print(data.decode(), flush=True)
"""
TALK = """
import socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
client.settimeout(float(sys.argv[5]))
client.bind(("", int(sys.argv[3])))
client.sendto(sys.argv[4].encode(), (sys.argv[1], int(sys.argv[2])))
try:
    print(client.recv(100).decode())
except OSError:
    pass
"""


def talk(stage: Stage, port: str, local: int, word: str, patience_s: float) -> str:
    """Send a word to the port; the answer that comes within so many seconds."""
    return stage.lab.run_world([PYTHON, "-c", TALK, HOST4, port, str(local), word, str(patience_s)]).stdout


def test_a_second_user_joins_the_port_of_a_conversation(stage: Stage) -> None:
    """Its socket is the newest, so the kernel gives it the packets from then on: they are judged for it."""
    honest, evil = stage.receiver.with_name("echo.py"), stage.folder / "echo.py"
    for program in (honest, evil):
        program.write_text(ECHO)
    stage.daemon.edit_rules(f"{stage.daemon.read_rules()}allow - 7306 udp-src {honest}\n")
    local = next(_ports)
    with receiver(stage, honest, "7306"):
        assert [talk(stage, "7306", local, word, ANSWER_S) for word in ("one", "two")] == ["one\n", "two\n"]
        with receiver(stage, evil, "7306", user="nobody") as joined:
            assert talk(stage, "7306", local, "secret", SILENCE_S) == ""
            assert_got_nothing(joined)
    stage.daemon.wait_connection(remote_port=local, verdict="deny")
    records = [record for record in stage.daemon.records("connection") if record["remote_port"] == local]
    made = [(record["program"], record["verdict"]) for record in records]
    assert made == [(str(honest), "allow"), (str(evil), "deny")]


def test_two_programs_take_the_port_of_a_conversation_that_ended(stage: Stage) -> None:
    honest, evil, other = stage.receiver.with_name("echo.py"), stage.folder / "one.py", stage.folder / "other.py"
    for program in (honest, evil, other):
        program.write_text(ECHO)
    stage.daemon.edit_rules(f"{stage.daemon.read_rules()}allow - 7307 udp-src {honest}\n")
    local = next(_ports)
    with receiver(stage, honest, "7307"):
        assert talk(stage, "7307", local, "one", ANSWER_S) == "one\n"
    with receiver(stage, evil, "7307", user="nobody") as one, receiver(stage, other, "7307", user="nobody") as two:
        assert talk(stage, "7307", local, "secret", SILENCE_S) == ""
        assert_got_nothing(one)
        assert_got_nothing(two)


# Gets its port where no hook runs: the kernel chooses one, and then refuses the address (inet_send_prepare()).
TAKE_PORT = """
import ctypes, socket, sys
taker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ctypes.CDLL(None).sendto(taker.fileno(), b"x", 1, 0, bytes([99]) * 16, 16)
assert taker.getsockname()[1] == int(sys.argv[1])
print("listening", flush=True)
print(taker.recv(100).decode(), flush=True)
"""
# Asks, is answered, and ends; prints its local port.
ASK = """
import socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.sendto(b"x", (sys.argv[1], int(sys.argv[2])))
client.recv(100)
print(client.getsockname()[1])
"""
# Answers, and after a line on stdin sends once more.
ANSWER_TWICE = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 7310))
print("listening", flush=True)
remote = server.recvfrom(100)[1]
server.sendto(b"x", remote)
sys.stdin.readline()
server.sendto(b"secret", remote)
"""


@contextmanager
def only_port(stage: Stage, port: str) -> Iterator[None]:
    """Let the kernel choose this port only. Any program can do so for itself: IP_LOCAL_PORT_RANGE, Linux 6.3."""
    name = "net.ipv4.ip_local_port_range"
    before = stage.lab.run_outside(["sysctl", "-n", name]).stdout.strip()
    assert stage.lab.run_outside(["sysctl", "-w", f"{name}={port} {port}"]).returncode == 0
    try:
        yield
    finally:
        assert stage.lab.run_outside(["sysctl", "-w", f"{name}={before}"]).returncode == 0


def test_a_second_user_gets_the_port_of_a_conversation_that_ended(stage: Stage) -> None:
    honest, evil = stage.script.with_name("ask.py"), stage.folder / "take_port.py"
    honest.write_text(ASK)
    evil.write_text(TAKE_PORT)
    stage.daemon.edit_rules(f"{stage.daemon.read_rules()}allow - 7310 udp {honest}\n")
    server = stage.lab.spawn_world([PYTHON, "-c", ANSWER_TWICE], stdin=subprocess.PIPE)
    assert read_line(server) == "listening\n"
    port = stage.lab.run([PYTHON, str(honest), WORLD4, "7310"]).stdout.strip()
    with only_port(stage, port), receiver(stage, evil, port, user="nobody") as taker:
        write_line(server)
        record = stage.daemon.wait_connection(direction="inbound", remote_port=7310)
        assert (record["program"], record["verdict"]) == (str(evil), "deny")
        assert_got_nothing(taker)
    server.wait(timeout=WAIT_S)


# Takes one visit to the port, and connects from it; that connection then is in TIME_WAIT, with its socket still open.
CONNECT_FROM = """
import socket, sys
def bind():
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("0.0.0.0", 7311))
    return bound
with bind() as server:
    server.listen()
    print("listening", flush=True)
    server.accept()[0].close()
client = bind()
client.connect((sys.argv[1], 7312))
client.shutdown(socket.SHUT_RDWR)
client.recv(1)
print("waits", flush=True)
sys.stdin.readline()
"""
# Visits the port, is connected to from it, and after a line on stdin visits it once more.
COME_BACK = """
import socket, sys
def bind():
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("", 7312))
    return bound
address = sys.argv[1]
with bind() as server:
    server.listen()
    with socket.socket() as visitor:
        visitor.connect((address, 7311))
    client = server.accept()[0]
    client.recv(1)
    client.close()
sys.stdin.readline()
visitor = bind()
visitor.connect((address, 7311))
"""


def test_a_second_user_listens_where_a_connection_of_the_honest_program_was(stage: Stage) -> None:
    honest = stage.receiver.with_name("connect_from.py")
    honest.write_text(CONNECT_FROM)
    stage.daemon.edit_rules(f"{stage.daemon.read_rules()}allow - 7312 tcp {honest}\nallow - - -src {honest}\n")
    first = stage.lab.spawn([PYTHON, str(honest), WORLD4], stdin=subprocess.PIPE)
    wait_listening(first)
    remote = stage.lab.spawn_world([PYTHON, "-c", COME_BACK, HOST4], stdin=subprocess.PIPE)
    assert read_line(first) == "waits\n"
    with receiver(stage, stage.evil_receiver, "tcp", "0.0.0.0", "7311", user="nobody") as second:
        write_line(remote)
        record = stage.daemon.wait_connection(direction="inbound", remote_port=7312)
        assert (record["program"], record["verdict"]) == (str(stage.evil_receiver), "deny")
        assert_got_nothing(second)
    remote.wait(timeout=WAIT_S)


def assert_got_nothing(server: subprocess.Popen[str]) -> None:
    server.kill()
    assert read_rest(server) == ""


# Is connected for a while, and sends; then it disconnects, gets what comes to any address, and counts as the newest.
CONNECTED_FOR_A_WHILE = """
import ctypes, socket, sys
taker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
taker.bind(("0.0.0.0", 7315))
taker.connect(("127.0.0.1", 9))
taker.sendto(b"x", ("127.0.0.1", 9))
print("listening", flush=True)
sys.stdin.readline()
assert not ctypes.CDLL(None).connect(taker.fileno(), bytes(16), 16)
taker.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # nobody was there
print("disconnected", flush=True)
print(taker.recv(100).decode(), flush=True)
"""


def test_a_second_users_socket_that_was_connected_for_a_while(stage: Stage) -> None:
    evil = stage.folder / "connected.py"
    evil.write_text(CONNECTED_FOR_A_WHILE)
    taker = stage.lab.spawn([PYTHON, str(evil)], user="nobody", stdin=subprocess.PIPE)
    assert read_line(taker) == "listening\n"
    with receiver(stage, stage.receiver, "udp", "0.0.0.0", "7315", "reuse_address"):
        assert visit(stage, "udp", "7315")["verdict"] == "allow"
        write_line(taker)
        assert read_line(taker) == "disconnected\n"
        record = visit(stage, "udp", "7315")
        assert (record["program"], record["verdict"]) == (str(evil), "deny")
        assert_got_nothing(taker)
    taker.wait(timeout=WAIT_S)
