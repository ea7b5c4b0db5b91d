"""A packet to one of this machine's own addresses never leaves by an interface, even if the program chooses one.

Rules see such a packet as one to `localhost`, which is usually allowed: on the link it would reach another machine.
"""

import subprocess
from collections.abc import Iterator

import pytest

from tests.evasion.stage import ATTACKER, PYTHON
from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_line, read_rest, write_line
from tests.lab.world import WORLD4, WORLD6
from tinysnitch.daemon.requests.counters import KERNEL_LOSSES

pytestmark = [pytest.mark.privileged]

OWN4, OWN6, GONE = "10.99.0.1", "fd99::1", "10.99.0.2"
END_PORT = 53  # the last packet is read, as a DNS message: so it overtakes none that is
RULES = f"allow localhost - -\nallow localhost - -src\nallow {WORLD4} {END_PORT} udp\n"
# Prints a line for each packet to the address that it sees on the link, until one says `no more`.
SNIFF = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
wanted = socket.inet_pton(family, sys.argv[1])
start = 38 if family == socket.AF_INET6 else 30
packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
print("ready", flush=True)
while b"no more" not in (packet := packets.recv(2000)):
    if packet[start : start + len(wanted)] == wanted:
        print("astray", flush=True)
"""
# Each function is a way to send by an interface of the program's choice. `no more` is sent last, to end the sniffer.
SEND = """
import socket, struct, sys
way, address, end = sys.argv[1:4]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
eth0 = socket.if_nametoindex("eth0")

def bind_to_device(used):
    used.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")

def datagram(used):
    bind_to_device(used)
    used.sendto(b"x", (address, 7320))

def interface_of_unicast(used):
    level, option = (socket.IPPROTO_IPV6, 76) if family == socket.AF_INET6 else (socket.IPPROTO_IP, 50)
    used.setsockopt(level, option, struct.pack("!I", eth0))
    used.sendto(b"x", (address, 7320))

def packet_info(used):
    info = struct.pack("=16xI", eth0) if family == socket.AF_INET6 else struct.pack("=I8x", eth0)
    level, kind = (socket.IPPROTO_IPV6, 50) if family == socket.AF_INET6 else (socket.IPPROTO_IP, socket.IP_PKTINFO)
    used.sendmsg([b"x"], [(level, kind, info)], 0, (address, 7320))

def conversation(used):
    other = socket.socket(family, socket.SOCK_DGRAM)
    other.bind((address, 7321))
    used.connect((address, 7321))
    used.send(b"x")
    data, remote = other.recvfrom(1)
    other.sendto(data, remote)
    used.recv(1)
    bind_to_device(used)
    used.send(b"x")

def connect(used):
    used = socket.socket(family, socket.SOCK_STREAM)
    used.setblocking(False)
    bind_to_device(used)
    used.connect_ex((address, 7320))

def make_connection():
    server = socket.create_server((address, 7322), family=family)
    client = socket.create_connection((address, 7322))
    return client, server.accept()[0]

def connected(used):
    client, server = make_connection()
    bind_to_device(client)
    client.send(b"x")

def accepted(used):
    client, server = make_connection()
    bind_to_device(server)
    server.send(b"x")

try:
    globals()[way](socket.socket(family, socket.SOCK_DGRAM))
except PermissionError:
    print("dropped")
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"no more", (end, 53))
"""
FIRST = ("datagram", "interface_of_unicast", "packet_info")
LATER = ("connect", "conversation", "connected", "accepted")
OF_TCP = ("connect", "connected", "accepted")  # which sends again, and tells nobody that a segment was dropped


@pytest.fixture(scope="module")
def lab(_clean_machine: None) -> Iterator[Lab]:
    with Lab() as made:
        for command in (["route", "add", "default", "via", WORLD4], ["-6", "route", "add", "default", "via", WORLD6]):
            assert made.run_outside(["ip", *command]).returncode == 0
        for address in (f"{OWN4}/32", f"{OWN6}/128"):
            assert made.run_outside(["ip", "address", "add", address, "dev", "lo"]).returncode == 0
        yield made


@pytest.fixture(scope="module")
def daemon(lab: Lab) -> Daemon:
    return lab.start_daemon(RULES, timeout_s=0)


@pytest.mark.parametrize(
    ("way", "address"),
    [
        *((way, address) for way in FIRST for address in ("127.0.0.1", "127.9.9.9", OWN4, OWN6)),
        *((way, address) for way in LATER for address in (OWN4, OWN6)),
        ("datagram", "::1"),
    ],
)
def test_a_packet_to_an_own_address_does_not_leave(lab: Lab, daemon: Daemon, way: str, address: str) -> None:
    sniffer = lab.spawn_world([PYTHON, "-c", SNIFF, address])
    assert read_line(sniffer) == "ready\n"
    sent = lab.run([PYTHON, "-c", SEND, way, address, WORLD4], user=ATTACKER)
    assert sent.returncode == 0, sent.stderr
    assert sent.stdout == ("" if way in OF_TCP else "dropped\n")  # at once: held, it would walk the chain for ever
    assert read_rest(sniffer) == ""
    sniffer.wait(timeout=WAIT_S)


# Joins a multicast group and prints the first datagram that comes: `x` is forged outside with this machine's address as
# its source, `y` is what the program itself sends once it has read a line.
HEAR = """
import socket, struct, sys
group = socket.inet_pton(socket.AF_INET6, "ff02::1234")
member = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
member.bind(("::", 7323))
eth0 = socket.if_nametoindex("eth0")
member.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + struct.pack("=I", eth0))
print("ready", flush=True)
sys.stdin.readline()
socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b"y", ("ff02::1234", 7323, 0, eth0))
print(member.recv(1), flush=True)
"""
FORGE = """
import socket, struct
there = socket.if_nametoindex("eth0")
ends = b"".join(socket.inet_pton(socket.AF_INET6, address) for address in ("fd77::2", "ff02::1234"))
datagram = struct.pack("!HHH", 4000, 7323, 9)
total = sum(struct.unpack("!16H", ends)) + 9 + 17 + 4000 + 7323 + 9 + (ord("x") << 8)
while total >> 16:
    total = (total & 0xFFFF) + (total >> 16)
datagram += struct.pack("!H", ~total & 0xFFFF) + b"x"
raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
raw.sendto(struct.pack("!IHBB", 6 << 28, 9, 17, 1) + ends + datagram, ("ff02::1234", 0, 0, there))
"""


def test_a_datagram_to_a_group_from_outside_with_our_source_is_not_heard(lab: Lab, daemon: Daemon) -> None:
    daemon.edit_rules(f"{RULES}allow lan 7323 udp\n")
    member = lab.spawn([PYTHON, "-c", HEAR], stdin=subprocess.PIPE)
    assert read_line(member) == "ready\n"
    forged = lab.run_world([PYTHON, "-c", FORGE])
    assert forged.returncode == 0, forged.stderr
    write_line(member)
    assert read_line(member) == "b'y'\n"
    member.wait(timeout=WAIT_S)


def test_a_packet_to_an_address_that_is_no_longer_ours_is_judged(lab: Lab, daemon: Daemon) -> None:
    assert lab.run_outside(["ip", "address", "add", f"{GONE}/32", "dev", "lo"]).returncode == 0
    assert lab.run([PYTHON, "-c", SEND, "datagram", GONE, WORLD4], user=ATTACKER).returncode == 0
    assert lab.run_outside(["ip", "address", "delete", f"{GONE}/32", "dev", "lo"]).returncode == 0
    daemon.edit_rules(f"{RULES}deny {GONE} - -\n")
    assert lab.run([PYTHON, "-c", SEND, "datagram", GONE, WORLD4], user=ATTACKER).returncode == 0
    assert daemon.wait_connection(remote_address=GONE)["verdict"] == "deny"
    assert KERNEL_LOSSES["lost_astray"] in daemon.cli("status").stdout
