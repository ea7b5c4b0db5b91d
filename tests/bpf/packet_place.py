"""Two network namespaces with a veth pair: `here`, where netfilter rules are loaded, and `there`, the remote.

The test itself opens the sockets of both: a socket stays in the namespace that it was made in.
"""

import select
import socket
import subprocess
from contextlib import AbstractContextManager, ExitStack
from typing import Self

from tests.bpf.netns_visit import visit_netns
from tests.lab.leftovers import NETNS_FOLDER, own_name, remove_netns
from tests.lab.namespaces import configure
from tests.lab.patience import WAIT_S
from tinysnitch.core.model.flow import Direction
from tinysnitch.core.packets.packet import flow_of, parse_packet
from tinysnitch.kernel.netfilter.firewall import Netfilter
from tinysnitch.kernel.nfqueue.queue import Queue, QueuedPacket
from tinysnitch.kernel.nfqueue.verdicts import VerdictSink

LABEL = "TS-TEST"
QUEUES = (29000, 29001)
HERE = {socket.AF_INET: "10.88.0.1", socket.AF_INET6: "fd88::1"}
THERE = {socket.AF_INET: "10.88.0.2", socket.AF_INET6: "fd88::2"}


class PacketPlace:
    def __enter__(self) -> Self:
        name = own_name("nf")
        self.here, self.there = f"{name}-here", f"{name}-there"
        with ExitStack() as undo:
            self._undo = undo
            self._prepare()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._undo.close()

    def _prepare(self) -> None:
        for name in (self.here, self.there):
            self._undo.callback(remove_netns, name)
            _call("ip", "netns", "add", name)
            _call("ip", "-n", name, "link", "set", "lo", "up")
        _call("ip", "-n", self.here, "link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", self.there)
        for name, addresses in ((self.here, HERE), (self.there, THERE)):
            configure(name, [f"{addresses[socket.AF_INET]}/24", f"{addresses[socket.AF_INET6]}/64"])

    def open_socket(self, netns: str, family: int, kind: int, bound: tuple[str, int] | None = None) -> socket.socket:
        """A socket that is closed with the place."""
        with entered(netns):
            made = self._undo.enter_context(socket.socket(family, kind))
        made.settimeout(WAIT_S)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if bound:
            made.bind(bound)
        return made

    def listener(self, netns: str, family: int) -> socket.socket:
        """A TCP server on a free port."""
        server = self.open_socket(netns, family, socket.SOCK_STREAM, (self.address(netns, family), 0))
        server.listen(1024)
        return server

    def address(self, netns: str, family: int) -> str:
        return (HERE if netns == self.here else THERE)[socket.AddressFamily(family)]

    def queue(self, number: int, max_length: int = 16384) -> Queue:
        with entered(self.here):
            queue = Queue(number, max_length=max_length)
        self._undo.callback(queue.close)
        return queue

    def run(self, *command: str, netns: str = "", text: str = "") -> str:
        front = ["nsenter", f"--net={NETNS_FOLDER / (netns or self.here)}"]
        return subprocess.run([*front, *command], input=text, check=True, capture_output=True, text=True).stdout

    def start(self, netns: str, *command: str) -> subprocess.Popen[str]:
        front = ["nsenter", f"--net={NETNS_FOLDER / netns}"]
        child = subprocess.Popen([*front, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._undo.callback(_end, child)
        return child

    def save(self) -> str:
        """The loaded rules of both families, without times and counters."""
        text = self.run("iptables-save") + self.run("ip6tables-save")
        return "\n".join(line.partition(" [")[0] for line in text.splitlines() if not line.startswith("#"))


class Wire(PacketPlace):
    """A place where our rules are loaded without BPF, and both queues are read."""

    def _prepare(self) -> None:
        super()._prepare()
        self.netfilter = Netfilter(LABEL, QUEUES, None)
        with entered(self.here):
            self.netfilter.add()
        self.connections, self.names = (self.queue(number) for number in QUEUES)
        self.verdicts = VerdictSink(self.connections, self.names, None)

    def wait_packet(self) -> QueuedPacket:
        """The one packet that waits in the queue of connections."""
        (packet,) = wait_packets(self.connections, 1)
        flow = flow_of(parse_packet(packet.payload), Direction.OUTBOUND)
        self.verdicts.note_mark(packet.packet_id, flow, packet.mark)
        return packet

    def has_packet(self) -> bool:
        return is_ready(self.connections, 0)


def entered(netns: str) -> AbstractContextManager[None]:
    """Take this thread into the namespace, with all that it opens and starts meanwhile."""
    return visit_netns(NETNS_FOLDER / netns)


def wait_packets(queue: Queue, count: int) -> list[QueuedPacket]:
    packets: list[QueuedPacket] = []
    while len(packets) < count:
        assert is_ready(queue, WAIT_S), f"{len(packets)} of {count} packets came"
        packets += queue.read_packets()
    return packets


def is_ready(readable: Queue | socket.socket, timeout_s: float) -> bool:
    return bool(select.select([readable], [], [], timeout_s)[0])


def _end(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.communicate(timeout=WAIT_S)


def _call(*command: str) -> None:
    subprocess.run(command, check=True)
