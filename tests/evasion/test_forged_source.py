"""IPv6 lets any program bind the address of another machine (IPV6_FREEBIND): nobody here hears it as that one."""

from collections.abc import Iterator

import pytest

from tests.evasion.stage import ATTACKER, PYTHON
from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.world import HOST6, WORLD6

pytestmark = [pytest.mark.privileged]

PORT, OTHER_PORT = 7400, 7401
NEIGHBOUR = "fe80::1234"  # nobody
GROUP = "ff02::1234"
# Says what comes, up to the first of another port.
HEAR = f"""
import socket, struct
eth0 = socket.if_nametoindex("eth0")
member = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
member.bind(("::", {PORT}))
group = socket.inet_pton(socket.AF_INET6, "{GROUP}")
member.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + struct.pack("=I", eth0))
print("ready", flush=True)
while (heard := member.recv(100)) != b"no more":
    print(heard.decode(), flush=True)
"""
# From an address that need not be ours.
SAY = """
import socket, sys
source, remote, text = sys.argv[1:]
free_bind, eth0 = 78, socket.if_nametoindex("eth0")
used = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
used.setsockopt(socket.IPPROTO_IPV6, free_bind, 1)
used.bind((source, 7402, 0, eth0 if source.startswith("fe80") else 0))
try:
    used.sendto(text.encode(), (remote, 7400, 0, eth0 if remote.startswith("f") else 0))
except OSError as error:  # no way leads from an address of the link to ::1
    print(error)
"""
# Asks a server out there, which does not answer, and says what it is told.
ASK = f"""
import socket
used = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
used.bind(("::", {PORT}))
used.sendto(b"question", ("{WORLD6}", 7402))
print("ready", flush=True)
while (heard := used.recv(100)) != b"no more":
    print(heard.decode(), flush=True)
"""
RULES = f"""\
allow localhost - -
allow localhost - -src
allow lan 7400 udp
allow {WORLD6} 7402 udp
allow {WORLD6} - udp-src
allow {NEIGHBOUR} - udp-src
"""


@pytest.fixture(scope="module")
def lab(_clean_machine: None) -> Iterator[Lab]:
    with Lab() as made:
        yield made


@pytest.fixture(scope="module")
def daemon(lab: Lab) -> Daemon:
    return lab.start_daemon(RULES, timeout_s=0)


def say(lab: Lab, *words: str) -> None:
    said = lab.run([PYTHON, "-c", SAY, *words], user=ATTACKER)
    assert said.returncode == 0, said.stderr


def hear(lab: Lab, program: str, source: str, remote: str) -> str:
    """What comes to the program from there; also what is ours."""
    member = lab.spawn([PYTHON, "-c", program])
    assert member.stdout
    assert member.stdout.readline() == "ready\n"
    say(lab, source, remote, "forged")
    say(lab, HOST6, HOST6, "own")
    say(lab, "fe80::2", "fe80::2", "of the link")
    say(lab, HOST6, GROUP, "of the group")
    say(lab, "::1", "::1", "no more")
    heard = member.stdout.read()
    member.wait(timeout=10)
    return heard


@pytest.mark.parametrize("source", [WORLD6, NEIGHBOUR])
@pytest.mark.parametrize("remote", ["::1", HOST6, "fe80::2", GROUP])
def test_it_is_not_heard(lab: Lab, daemon: Daemon, source: str, remote: str) -> None:
    assert hear(lab, HEAR, source, remote) == "own\nof the link\nof the group\n"


@pytest.mark.parametrize("remote", ["::1", HOST6])
def test_it_answers_nobody(lab: Lab, daemon: Daemon, remote: str) -> None:
    assert hear(lab, ASK, WORLD6, remote) == "own\nof the link\n"
