"""While a SYN is held, no connection comes about: a remote that knows its numbers and forges the SYN-ACK opens nothing.

A program and an accomplice outside could agree on them, and so connect before anybody has answered the question.
"""

import socket
import struct
import subprocess
import sys
from typing import NamedTuple

import pytest

from tests.bpf.netns_visit import visit_netns
from tests.bpf.packet_place import wait_packets
from tests.evasion.stage import PYTHON
from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.leftovers import NETNS_FOLDER
from tests.lab.patience import WAIT_S, read_line, wait_until, write_line
from tests.lab.world import HOST4, HOST6, MORE_WORLD4, WORLD4, WORLD6
from tinysnitch.daemon.requests.counters import KERNEL_LOSSES
from tinysnitch.kernel.nfqueue.queue import NfVerdict, Queue

pytestmark = [pytest.mark.privileged]

LOST_ANSWERS = KERNEL_LOSSES["lost_answers"]
PORT, DNS = 8080, 53
LOOK = 29100  # the test's own NFQUEUE, which packets pass before the daemon's
TCP, MPTCP = 6, 262
SYN_ACK = 0x12
# RFC 8200 4.6: an extension header with padding only. The kernel does no early demux for what stands behind it.
DESTINATION_OPTIONS = bytes([TCP, 0, 1, 4, 0, 0, 0, 0])
# Connects without waiting. A line with an address: connect there instead. A line with a number: wait so many seconds,
# and print whether the connection stands.
CLIENT = """
import ctypes, select, socket, struct, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
client = socket.socket(family, socket.SOCK_STREAM, int(sys.argv[3]))
client.setblocking(False)
client.connect_ex((sys.argv[1], int(sys.argv[2])))
for word in sys.stdin:
    if word.count("."):
        ctypes.CDLL(None).connect(client.fileno(), struct.pack("=H14x", socket.AF_UNSPEC), 16)
        client.connect_ex((word.strip(), int(sys.argv[2])))
        continue
    ready = select.select([], [client], [], float(word))[1]
    print(client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if ready else "waits", flush=True)
"""
FORGE = """
import socket, sys
raw = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
raw.sendto(bytes.fromhex(sys.argv[2]), (sys.argv[1], 0))
"""


# Deletes the flow's entries, as the kernel does once a table is full: a program fills one in some seconds. Arguments:
# LOCAL REMOTE LOCAL_PORT REMOTE_PORT, and `sockets` for the entry of its socket, too.
FORGET = """
import sys
from pathlib import Path
from tinysnitch.core.model.flow import TCP, Direction, Flow, parse_address
from tinysnitch.kernel.bpf.programs import key_of
from tinysnitch.kernel.bpf.layout import FlowEntry, FlowKey, OwnedSocket
from tinysnitch.kernel.bpf.libbpf import U64, Map
(folder,) = Path("/sys/fs/bpf").glob("tinysnitch-*/*/maps")
flows = Map(folder / "flows", FlowKey, FlowEntry)
sockets = Map(folder / "sockets", U64, OwnedSocket)
local, remote = map(parse_address, sys.argv[1:3])
key = key_of(Flow(TCP, Direction.OUTBOUND, local, int(sys.argv[3]), remote, int(sys.argv[4])))
cookie = flows.find(key).cookie
assert flows.delete(key)
if "sockets" in sys.argv:
    assert sockets.delete(cookie)
"""


class Syn(NamedTuple):
    port: int
    remote_port: int
    number: int


class Client:
    def __init__(self, lab: Lab, remote: str, port: int = PORT, protocol: int = TCP) -> None:
        command = [PYTHON, "-c", CLIENT, remote, str(port), str(protocol)]
        self._process = lab.spawn(command, user="nobody", stdin=subprocess.PIPE)

    def connect_to(self, remote: str) -> None:
        write_line(self._process, f"{remote}")

    def state(self, patience_s: float = 0) -> str:
        """What has become of it: `0` (connected), an error number, or `waits`."""
        self.connect_to(str(int(patience_s)))
        return read_line(self._process).strip()


class ServerNameCheck:
    """Sees each SYN before the daemon holds it, and so its sequence number, which the forged answer needs."""

    def __init__(self, lab: Lab) -> None:
        rule = ["-I", "OUTPUT", "-p", "tcp", "--syn", "-j", "NFQUEUE", "--queue-num", str(LOOK), "--queue-bypass"]
        for program in ("iptables", "ip6tables"):
            assert lab.run_outside([program, "-t", "raw", *rule]).returncode == 0
        with visit_netns(NETNS_FOLDER / lab.namespaces.host):
            self._queue = Queue(LOOK)
        lab.on_exit(self._queue.close)
        self._seen: set[Syn] = set()

    def wait_syn(self) -> Syn:
        """The next SYN that was not seen before: each is sent again after a second."""
        while True:
            for packet in wait_packets(self._queue, 1):
                self._queue.queue_verdict(packet.packet_id, NfVerdict.ACCEPT)
                self._queue.flush()
                syn = parse_syn(packet.payload)
                if syn not in self._seen:
                    self._seen.add(syn)
                    return syn


def parse_syn(packet: bytes) -> Syn:
    return Syn(*struct.unpack_from("!HHI", packet, 20 if packet[0] >> 4 == 4 else 40))


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pack_syn_ack(remote: str, syn: Syn, extension: bytes = b"") -> bytes:
    family = socket.AF_INET6 if ":" in remote else socket.AF_INET
    ends = b"".join(socket.inet_pton(family, address) for address in (remote, local_of(remote)))
    numbers = (5000, (syn.number + 1) & 0xFFFFFFFF)
    header = struct.pack("!HHIIBBHHH", syn.remote_port, syn.port, *numbers, 5 << 4, SYN_ACK, 65000, 0, 0)
    total = checksum(ends + struct.pack("!II", len(header), TCP) + header)
    segment = extension + header[:16] + struct.pack("!H", total) + header[18:]
    if family == socket.AF_INET:
        return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 1, 0, 64, TCP, 0) + ends + segment
    return struct.pack("!IHBB", 6 << 28, len(segment), 60 if extension else TCP, 64) + ends + segment


def local_of(remote: str) -> str:
    return HOST6 if ":" in remote else HOST4


def forge(lab: Lab, remote: str, packet: bytes) -> None:
    done = lab.run_world([PYTHON, "-c", FORGE, local_of(remote), packet.hex()])
    assert done.returncode == 0, done.stderr


def assert_dropped(daemon: Daemon, client: Client) -> None:
    wait_until(lambda: LOST_ANSWERS in daemon.cli("status").stdout)  # the log tells it only with the next traffic
    assert client.state() == "waits"


@pytest.mark.parametrize(
    ("remote", "port", "protocol", "extension"),
    [
        (WORLD4, PORT, TCP, b""),
        (WORLD4, DNS, TCP, b""),
        (WORLD6, PORT, TCP, b""),
        (WORLD6, PORT, TCP, DESTINATION_OPTIONS),
        (WORLD4, PORT, MPTCP, b""),
        (WORLD6, PORT, MPTCP, DESTINATION_OPTIONS),
    ],
)
def test_a_forged_answer_to_what_is_held(lab: Lab, remote: str, port: int, protocol: int, extension: bytes) -> None:
    daemon, watcher = lab.start_daemon(""), ServerNameCheck(lab)
    client = Client(lab, remote, port, protocol)
    syn = watcher.wait_syn()
    ask = daemon.wait_ask(remote_address=remote)
    forge(lab, remote, pack_syn_ack(remote, syn, extension))
    assert_dropped(daemon, client)
    daemon.answer(ask, "yes")
    assert client.state(WAIT_S) == "0"


@pytest.mark.parametrize(
    ("remote", "protocol", "extension", "tables"),
    [
        (WORLD4, MPTCP, b"", ["flows"]),
        (WORLD6, TCP, DESTINATION_OPTIONS, ["flows"]),
        (WORLD4, TCP, b"", ["flows", "sockets"]),
    ],
)
def test_a_forged_answer_to_what_is_held_and_forgotten(
    lab: Lab, remote: str, protocol: int, extension: bytes, tables: list[str]
) -> None:
    daemon, watcher = lab.start_daemon(""), ServerNameCheck(lab)
    client = Client(lab, remote, PORT, protocol)
    syn = watcher.wait_syn()
    daemon.wait_ask(remote_address=remote)
    words = [local_of(remote), remote, str(syn.port), str(syn.remote_port), *tables]
    forgotten = lab.run_outside([sys.executable, "-c", FORGET, *words])
    assert forgotten.returncode == 0, forgotten.stderr
    forge(lab, remote, pack_syn_ack(remote, syn, extension))
    assert_dropped(daemon, client)


def test_a_forged_answer_where_early_demux_is_off(lab: Lab) -> None:
    assert lab.run_outside(["sysctl", "-w", "net.ipv4.tcp_early_demux=0"]).returncode == 0
    test_a_forged_answer_to_what_is_held(lab, WORLD4, PORT, TCP, b"")


def test_a_yes_to_the_remote_that_the_socket_connected_to_before(lab: Lab) -> None:
    daemon, watcher = lab.start_daemon(""), ServerNameCheck(lab)
    client = Client(lab, WORLD4)
    watcher.wait_syn()
    first = daemon.wait_ask(remote_address=WORLD4)
    client.connect_to(MORE_WORLD4[0])
    syn = watcher.wait_syn()
    daemon.wait_ask(remote_address=MORE_WORLD4[0])
    daemon.answer(first, "yes")
    daemon.wait_connection(remote_address=WORLD4, verdict="allow")
    forge(lab, MORE_WORLD4[0], pack_syn_ack(MORE_WORLD4[0], syn))
    assert_dropped(daemon, client)


def test_a_yes_to_an_earlier_connection_of_the_socket(lab: Lab) -> None:
    daemon, watcher = lab.start_daemon(""), ServerNameCheck(lab)
    client = Client(lab, WORLD4)
    watcher.wait_syn()
    daemon.answer(daemon.wait_ask(remote_address=WORLD4), "yes", "--for", "once")
    assert client.state(WAIT_S) == "0"
    client.connect_to(WORLD4)
    syn = watcher.wait_syn()
    daemon.wait_for_count(lambda record: record["event"] == "ask", 2)
    forge(lab, WORLD4, pack_syn_ack(WORLD4, syn))
    assert_dropped(daemon, client)


def test_an_answer_to_what_was_let_go_is_welcome_after_a_change_of_the_rules(lab: Lab) -> None:
    daemon, watcher = lab.start_daemon("allow - - tcp\n"), ServerNameCheck(lab)
    lab.run_world(["iptables", "-A", "INPUT", "-p", "tcp", "-j", "DROP"])
    client = Client(lab, WORLD4)
    syn = watcher.wait_syn()
    daemon.wait_connection(remote_address=WORLD4, verdict="allow")
    daemon.edit_rules("deny - - tcp\n")
    forge(lab, WORLD4, pack_syn_ack(WORLD4, syn))
    assert client.state(WAIT_S) == "0"
