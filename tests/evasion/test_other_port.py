"""A packet stays its program's when its socket has got another port since: it is not taken for the kernel's own."""

import subprocess

import pytest

from tests.evasion.stage import PYTHON
from tests.lab.lab import Lab
from tests.lab.patience import write_line
from tests.lab.world import ECHO_PORT, HOST4, HOST6, WORLD4, WORLD6

pytestmark = [pytest.mark.privileged]

LEAVE = """
import ctypes, socket, struct, sys
def leave(opened):
    ctypes.CDLL(None).connect(opened.fileno(), struct.pack("=H26x", socket.AF_UNSPEC), 28)
"""
# The datagram is begun with one port, and sent when the socket has another one: udp_v6_push_pending_frames()
DATAGRAM = f"""{LEAVE}
client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
client.sendto(b"x", socket.MSG_MORE, (sys.argv[1], int(sys.argv[2])))
leave(client)
client.bind(("::", 0))
client.setsockopt(socket.IPPROTO_UDP, 1, 0)  # UDP_CORK
"""
# The SYN to the first port is held until the socket has connected to the second one.
STREAM = f"""{LEAVE}
client = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
client.setblocking(False)
client.connect_ex((sys.argv[1], 80))
sys.stdin.readline()
leave(client)
client.bind((sys.argv[2], 0))
client.connect_ex((sys.argv[1], 8080))
sys.stdin.readline()
"""


def test_a_datagram_that_was_begun_with_another_port(lab: Lab) -> None:
    daemon = lab.start_daemon("", timeout_s=0)
    client = lab.run([PYTHON, "-c", DATAGRAM, WORLD6, str(ECHO_PORT)], user="nobody")
    assert client.returncode == 0, client.stderr
    assert daemon.wait_connection(remote_address=WORLD6)["program"].startswith("/usr/bin/python3")


@pytest.mark.parametrize(("remote", "local"), [(WORLD4, HOST4), (WORLD6, HOST6)])
def test_a_syn_that_was_held_till_its_socket_had_another_port(lab: Lab, remote: str, local: str) -> None:
    daemon = lab.start_daemon("")
    client = lab.spawn([PYTHON, "-c", STREAM, remote, local], user="nobody", stdin=subprocess.PIPE)
    first = daemon.wait_ask(remote_port=80)
    write_line(client)
    second = daemon.wait_ask(remote_port=8080)
    daemon.answer(first, "yes")
    daemon.wait_connection(remote_port=80)
    daemon.answer(second, "yes")
    daemon.wait_connection(remote_port=8080)
    assert [record["id"] for record in daemon.records("ask")] == [first["id"], second["id"]]
