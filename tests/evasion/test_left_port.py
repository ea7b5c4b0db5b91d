"""A socket gives back the port that the kernel chose for it, and stays open; another program gets the port.

No BPF hook runs for either, so what was noted of the port is out of date, and the socket's memory has to be read.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.evasion.stage import PYTHON, Stage
from tests.evasion.test_ports import (
    ANSWER_TWICE,
    SILENCE_S,
    TAKE_PORT,
    assert_got_nothing,
    only_port,
    receiver,
    talk,
    visit,
)
from tests.lab.patience import WAIT_S, read_line, write_line
from tests.lab.world import HOST4, WORLD4

pytestmark = [pytest.mark.privileged]

PORT, REMOTE_PORT = "40124", 7313
# Prints its port and takes what comes there once. After a line on stdin it gives the port back, but keeps the socket
# until another line.
LEAVE_PORT = """
import ctypes, os, signal, socket, sys
way, *remote = sys.argv[1:]
leaver = socket.socket(socket.AF_INET, socket.SOCK_STREAM if way == "listen" else socket.SOCK_DGRAM)
if way == "listen":
    leaver.bind(("", 0))
    leaver.listen()
elif way in ("bind", "worker"):
    leaver.bind(("", 0))
elif way == "send":
    leaver.sendto(b"x", ("127.0.0.1", 9))
else:
    leaver.connect((remote[0], int(remote[1])))
    leaver.send(b"x")
print(leaver.getsockname()[1], flush=True)
leaver.accept() if way == "listen" else leaver.recv(100)
sys.stdin.readline()
worker = 0
if way == "worker":  # a child that sends by it without a hook, and lives on
    leaver.connect(("127.0.0.1", 9))
    read, write = os.pipe()
    worker = os.fork()
    if not worker:
        leaver.send(b"x")
        os.write(write, b"x")
        signal.pause()
    os.read(read, 1)
assert not ctypes.CDLL(None).connect(leaver.fileno(), bytes(16), 16)
assert way == "listen" or not leaver.getsockname()[1]
print("left", flush=True)
sys.stdin.readline()
if worker:
    os.kill(worker, signal.SIGKILL)
"""
# Gets its port where no hook runs (inet_csk_listen_start()).
LISTEN = """
import socket, sys
taker = socket.socket()
taker.listen()
assert taker.getsockname()[1] == int(sys.argv[1])
print("listening", flush=True)
taker.accept()
print("got", flush=True)
"""

# Gets its port where no hook runs, takes what comes there once, closes the socket, and lives on until a line on stdin.
CLOSE_PORT = f"""{TAKE_PORT}
taker.close()
print("closed", flush=True)
sys.stdin.readline()
"""
SEND = """
import socket, sys
local, address, port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.bind(("", local))
sender.sendto(b"x", (address, port))
"""


def hear(process: subprocess.Popen[str]) -> str:
    return read_line(process).strip()


@contextmanager
def leaver(stage: Stage, way: str, *remote: str) -> Iterator[subprocess.Popen[str]]:
    """Run the program that leaves its port. Rules allow it everything."""
    honest = stage.receiver.with_name(f"leave_{way}.py")
    honest.write_text(LEAVE_PORT)
    stage.daemon.edit_rules(f"{stage.daemon.read_rules()}allow - - -src {honest}\nallow - - udp {honest}\n")
    process = stage.lab.spawn([PYTHON, str(honest), way, *remote], stdin=subprocess.PIPE)
    yield process
    process.communicate("\n", timeout=WAIT_S)


@pytest.mark.parametrize("way", ["bind", "worker", "send", "listen"])
def test_a_second_user_gets_the_port_that_an_honest_socket_left(stage: Stage, way: str) -> None:
    kind, evil = ("tcp", LISTEN) if way == "listen" else ("udp", TAKE_PORT)
    program = stage.folder / "take_port.py"
    program.write_text(evil)
    with leaver(stage, way) as honest:
        port = hear(honest)
        assert visit(stage, kind, port)["verdict"] == "allow"
        write_line(honest)
        assert hear(honest) == "left"
        with only_port(stage, port), receiver(stage, program, port, user="nobody") as taker:
            record = visit(stage, kind, port)
            assert (record["program"], record["verdict"]) == (str(program), "deny")
            assert_got_nothing(taker)


def test_a_second_user_gets_the_port_of_a_conversation_that_is_left(stage: Stage) -> None:
    evil = stage.folder / "take_port.py"
    evil.write_text(TAKE_PORT)
    server = stage.lab.spawn_world([PYTHON, "-c", ANSWER_TWICE], stdin=subprocess.PIPE)
    assert hear(server) == "listening"
    with leaver(stage, "connect", WORLD4, "7310") as honest:
        port = hear(honest)
        write_line(honest)
        assert hear(honest) == "left"
        with only_port(stage, port), receiver(stage, evil, port, user="nobody") as taker:
            write_line(server)
            record = stage.daemon.wait_connection(direction="inbound", remote_port=7310)
            assert (record["program"], record["verdict"]) == (str(evil), "deny")
            assert_got_nothing(taker)
    server.wait(timeout=WAIT_S)


def test_a_second_user_gets_the_port_that_a_living_program_closed(stage: Stage) -> None:
    """No hook tells of the port of either: what was found out for the first datagram does not count for the second."""
    honest, evil = stage.receiver.with_name("close_port.py"), stage.folder / "take_port.py"
    honest.write_text(CLOSE_PORT)
    evil.write_text(TAKE_PORT)
    stage.daemon.edit_rules(f"{stage.daemon.read_rules()}allow - - -src {honest}\n")
    with only_port(stage, PORT):
        first = stage.lab.spawn([PYTHON, str(honest), PORT], stdin=subprocess.PIPE)
        assert hear(first) == "listening"
        talk(stage, PORT, REMOTE_PORT, "first", SILENCE_S)
        assert [hear(first), hear(first)] == ["first", "closed"]
        with receiver(stage, evil, PORT, user="nobody") as taker:
            talk(stage, PORT, REMOTE_PORT, "second", SILENCE_S)
            assert_got_nothing(taker)
        first.communicate("\n", timeout=WAIT_S)


def test_a_program_that_takes_a_port_does_not_answer_what_came_before(stage: Stage) -> None:
    """A rule let that in for any program, but none had the port. What is sent from it later is no answer to it."""
    stage.daemon.edit_rules(f"{stage.daemon.read_rules()}allow - 7311 udp-src\n")
    assert stage.lab.run_world([PYTHON, "-c", SEND, "7312", HOST4, "7311"]).returncode == 0
    assert stage.daemon.wait_connection(direction="inbound", remote_port=7312)["verdict"] == "allow"
    stage.lab.run([PYTHON, "-c", SEND, "7311", WORLD4, "7312"], user="nobody")
    assert stage.daemon.wait_connection(direction="outbound", remote_port=7312)["verdict"] == "deny"
