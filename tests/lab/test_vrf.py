"""Within a VRF (ip-vrf(8)): its addresses are in a routing table of their own, and netfilter takes none for local.

Kernels of development machines may lack VRFs; `make test-kernel` runs one that has them.
"""

import os

import pytest

from tests.lab.lab import Lab
from tests.lab.patience import wait_listening
from tests.lab.watched_lab import PYTHON
from tests.lab.world import ECHO_PORT, HOST4, HOST6, WORLD4, WORLD6

pytestmark = [pytest.mark.privileged]

# An interface loses its IPv6 addresses when it changes its VRF, so ours is added again.
VRF = f"""
ip link add red type vrf table 10
ip link set red up
ip link set eth0 master red
ip -6 addr replace {HOST6}/64 dev eth0 nodad
"""
CLIENT = """
import errno, socket, sys
kind, interface, address, port, payload = sys.argv[1:6]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
client = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
client.settimeout(20)
try:
    client.connect((address, int(port)))
    client.send(bytes.fromhex(payload))
    client.recv(1000)
    print("answered")
except TimeoutError:
    print("silence")
except OSError as error:
    print(errno.errorcode[error.errno])
"""
SERVER = """
import socket
server = socket.socket(socket.AF_INET6)
server.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"red")
server.bind(("::", 8000))
server.listen()
print("listening", flush=True)
while True:
    server.accept()[0].send(b"welcome")
"""
ASK_FOR_SHOP = "000101000001000000000000" + "0473686f70" + "0474657374" + "0000010001"  # RFC 1035 4.1
GET = b"GET / HTTP/1.0\r\n\r\n".hex()
PROGRAM = os.path.realpath(PYTHON)
REFUSED, ANSWERED = "ECONNREFUSED\n", "answered\n"


@pytest.fixture
def vrf(lab: Lab) -> Lab:
    made = lab.run_outside(["sh", "-ec", VRF])
    if "Unknown device type" in made.stderr or "not supported" in made.stderr:
        pytest.skip("this kernel has no VRF")
    assert made.stderr == ""
    return lab


def client(kind: str, interface: str, address: str, port: int, *, payload: str = GET) -> list[str]:
    return [PYTHON, "-c", CLIENT, kind, interface, address, str(port), payload]


@pytest.mark.core_lab
def test_what_is_denied_within_a_vrf_is_refused(vrf: Lab) -> None:
    daemon = vrf.start_daemon(f"deny - 80 tcp\ndeny - {ECHO_PORT} udp\nallow - - icmp\n", timeout_s=0)
    for address in (WORLD4, WORLD6):
        for kind, port in (("tcp", 80), ("udp", ECHO_PORT)):
            assert vrf.run(client(kind, "red", address, port)).stdout == REFUSED, (address, kind)
            told = daemon.wait_connection(remote_address=address, remote_port=port, verdict="deny")
            assert (told["program"], told["attribution"]) == (PROGRAM, "bpf")


@pytest.mark.core_lab
def test_what_comes_in_by_a_vrf_is_attributed_to_the_listener_there(vrf: Lab) -> None:
    daemon = vrf.start_daemon("deny - 8000 tcp-src\n", timeout_s=0)
    wait_listening(vrf.spawn([PYTHON, "-c", SERVER]))
    for address in (HOST4, HOST6):
        assert vrf.run_world(client("tcp", "eth0", address, 8000)).stdout == REFUSED, address
        told = daemon.wait_connection(local_address=address, local_port=8000, verdict="deny")
        assert (told["program"], told["attribution"]) == (PROGRAM, "bpf")


@pytest.mark.core_lab
def test_names_that_are_asked_for_within_a_vrf_are_learned(vrf: Lab) -> None:
    daemon = vrf.start_daemon(f"allow {WORLD4} 53 udp\nallow shop.test 80 tcp\n", timeout_s=0)
    assert vrf.run(client("udp", "red", WORLD4, 53, payload=ASK_FOR_SHOP)).stdout == ANSWERED
    assert vrf.run(client("tcp", "red", WORLD4, 80)).stdout == ANSWERED, daemon.describe()
    assert daemon.wait_connection(remote_port=80)["name"] == "shop.test"


def test_names_are_learned_by_an_address_in_another_table(lab: Lab) -> None:
    """Without a VRF: a rule leads to the table that has the local address."""
    own = f"local {HOST4} dev eth0 table"
    script = f"ip rule add lookup 10 pref 1; ip route add {own} 10; ip route del {own} local"
    assert lab.run_outside(["sh", "-ec", script]).stderr == ""
    daemon = lab.start_daemon(f"allow {WORLD4} 53 udp\nallow shop.test 80 tcp\n", timeout_s=0)
    assert lab.run(["curl", "-4", "-sS", "http://shop.test/"]).returncode == 0, daemon.describe()
