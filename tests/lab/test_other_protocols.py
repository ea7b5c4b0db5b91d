"""SCTP, DCCP, UDP-Lite and MPTCP, which programs have sockets of as of TCP and UDP: held, asked about and refused.

Kernels of development machines often have MPTCP at most; `make test-kernel` runs one that has more. DCCP and UDP-Lite
are only in older ones.
"""

import os
import subprocess

import pytest

from tests.lab.daemon import Record
from tests.lab.lab import Lab
from tests.lab.patience import PATIENCE, WAIT_S, read_until
from tests.lab.watched_lab import PYTHON
from tests.lab.world import WORLD4

pytestmark = [pytest.mark.privileged, pytest.mark.core_lab]

PORT = 5000
PROGRAM = os.path.realpath(PYTHON)
SERVER = """
import socket, sys
kind, protocol, address, port = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
try:
    server = socket.socket(socket.AF_INET, kind, protocol)
except OSError:
    print("none", flush=True)
    sys.exit()
server.bind((address, port))
if kind != socket.SOCK_DGRAM:
    server.listen()
print("listening", flush=True)
while True:
    if kind == socket.SOCK_DGRAM:
        server.sendto(b"welcome", server.recvfrom(100)[1])
    else:
        server.accept()[0].send(b"welcome")
"""
CLIENT = """
import errno, socket, sys
kind, protocol, address, port = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
client = socket.socket(socket.AF_INET, kind, protocol)
client.settimeout(float(sys.argv[5]))
try:
    client.connect((address, port))
    client.send(b"hello")
    print(client.recv(100).decode())
except OSError as error:
    print(errno.errorcode.get(error.errno, "silence"))
"""
# Socket types (6 is SOCK_DCCP) and protocols, some of which Python has no names for. MPTCP's number is Linux's own.
KINDS = {"sctp": (1, 132), "dccp": (6, 33), "udplite": (2, 136), "mptcp": (1, 262)}
REFUSED = dict.fromkeys(KINDS, "ECONNREFUSED\n") | {"sctp": "ENOPROTOOPT\n"}  # what SCTP makes of the ICMP error


def words(script: str, name: str, *rest: str) -> list[str]:
    return [PYTHON, "-c", script, *map(str, KINDS[name]), WORLD4, str(PORT), *rest]


@pytest.fixture(params=KINDS)
def served(request: pytest.FixtureRequest, lab: Lab) -> str:
    """Start a server in the world; the name of its protocol."""
    name: str = request.param
    server = lab.spawn_world(words(SERVER, name))
    if read_until(server, len) == ["none\n"]:
        pytest.skip(f"this kernel has no {name}")
    return name


def start(lab: Lab, name: str) -> subprocess.Popen[str]:
    return lab.spawn(words(CLIENT, name, str(50 * PATIENCE)))


def what(record: Record) -> tuple[object, ...]:
    return record["protocol"], record["remote_port"], record["program"], record["attribution"]


def test_a_connection_is_held_and_goes_on_when_it_is_allowed(lab: Lab, served: str) -> None:
    daemon = lab.start_daemon("")
    client = start(lab, served)
    ask = daemon.wait_ask()
    assert what(ask) == (*(("tcp", PORT) if served == "mptcp" else (str(KINDS[served][1]), 0)), PROGRAM, "bpf")
    assert client.poll() is None
    daemon.answer(ask, "yes")
    assert client.communicate(timeout=WAIT_S)[0] == "welcome\n", daemon.describe()
    assert len(daemon.records("ask")) == 1


def test_a_connection_is_refused_when_it_is_denied(lab: Lab, served: str) -> None:
    daemon = lab.start_daemon("deny - - -\n")
    client = start(lab, served)
    assert client.communicate(timeout=WAIT_S)[0] == REFUSED[served], daemon.describe()
    assert daemon.wait_connection(verdict="deny")["program"] == PROGRAM
