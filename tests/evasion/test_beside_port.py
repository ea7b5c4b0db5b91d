"""The honest program's socket takes a part of what comes to a port, and another user's socket the rest of it.

That user's program gets the port where no hook runs, so nothing is noted of it until the kernel's own look-up finds it.
"""

import pytest

from tests.evasion.stage import PYTHON, Stage
from tests.evasion.test_ports import assert_got_nothing, only_port, receiver
from tests.lab.world import HOST4

pytestmark = [pytest.mark.privileged]

PORT = "40123"
# Takes what comes by IPv6, or by lo, or (as long as no newer socket takes it) everything.
HONEST = """
import signal, socket, sys
kind, part, port = sys.argv[1:]
family = socket.AF_INET6 if part == "family" else socket.AF_INET
with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as taker:
    if part == "family":
        taker.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    elif part == "interface":
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
    else:
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taker.bind(("", int(port)))
    if kind == "tcp":
        taker.listen()
    print("listening", flush=True)
    signal.pause()
"""
# The kernel chooses the port: inet_csk_listen_start(), inet_send_prepare().
EVIL = """
import ctypes, socket, sys
kind, part, port = sys.argv[1:]
taker = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
if part == "interface":
    taker.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
elif part == "older":
    taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if kind == "tcp":
    taker.listen()
else:
    ctypes.CDLL(None).sendto(taker.fileno(), b"x", 1, 0, bytes([99]) * 16, 16)
assert taker.getsockname()[1] == int(port)
print("listening", flush=True)
print(taker.accept() if kind == "tcp" else taker.recv(100), flush=True)
"""
VISIT = """
import socket, sys
kind, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
with socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as client:
    client.settimeout(10)
    try:
        client.connect((address, port))
        client.send(b"x")
        client.recv(1)
    except ConnectionRefusedError:
        print("refused")
"""


@pytest.mark.parametrize(
    ("kind", "part"),
    [("tcp", "family"), ("udp", "family"), ("tcp", "interface"), ("udp", "interface"), ("udp", "older")],
)
def test_a_second_user_takes_what_the_honest_socket_does_not(stage: Stage, kind: str, part: str) -> None:
    """It is refused. The tables name the honest program, so the packet must not be held for it again and again."""
    honest, evil = stage.receiver.with_name("part.py"), stage.folder / "rest.py"
    honest.write_text(HONEST)
    evil.write_text(EVIL)
    words = (kind, part, PORT)
    with receiver(stage, honest, *words), only_port(stage, PORT), receiver(stage, evil, *words, user="nobody") as taker:
        visit = stage.lab.run_world([PYTHON, "-c", VISIT, kind, HOST4, PORT])
        assert visit.stdout == "refused\n", visit.stderr
        assert_got_nothing(taker)
