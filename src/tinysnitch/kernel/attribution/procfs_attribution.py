"""Attributes flows without BPF: by the socket that sock_diag finds, and the process that holds it by /proc. It fails
more often than BPF, but then says UNKNOWN, not a wrong program.

(1) The socket must be the very one. TCP: by the whole address. Other outbound packets: a held packet is charged to its
socket (sk_wmem_alloc), so this must be the only one of the port with something unsent, open, and of the sender's user.
(2) All processes that hold it must run the same. (3) After all was read, socket and holder must still be the same.
"""

import hashlib

import msgspec

from tinysnitch.core.model.flow import ICMP, ICMPV6, TCP, UDP, Direction, Flow
from tinysnitch.core.model.process import (
    KERNEL,
    NOT_LISTENING,
    UNKNOWN,
    Asker,
    AttributedPacket,
    Attribution,
    AttributionSource,
    Process,
)
from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.core.model.undecoded import bytes_of
from tinysnitch.kernel.attribution.process_builder import ProcessBuilder
from tinysnitch.kernel.attribution.process_image import image_of
from tinysnitch.kernel.attribution.socket_holders import SocketHolders
from tinysnitch.kernel.netlink.sock_diag import DiagSocket, SocketDiag, read_raw_sockets
from tinysnitch.kernel.proc.procfs import INIT, LiveProcess, read_process

_CAPACITY = 8192
_OTHER_PORTS = (33, 132, 136)  # DCCP, SCTP, UDP-Lite: programs have these (has_other_ports(), bpf/include/flow.bpf.h)
_PSEUDO_ID = 1 << 62  # exec ids of the degraded mode have this bit: above all that BPF gives


class ProcfsAttributor:
    def __init__(self, sockets: SocketDiag, builder: ProcessBuilder) -> None:
        self._sockets = sockets
        self._builder = builder
        self._holders = SocketHolders()
        self._known: BoundedTable[int, Process] = BoundedTable(_CAPACITY)

    def forget(self) -> None:
        """Build every Process anew."""
        self._known.clear()

    def attribute(self, flow: Flow, interface: int, sender_uid: int | None) -> AttributedPacket:
        """Raises ScanNotDue, TooManyWait. `sender_uid`: see kernel/nfqueue/queue.py."""
        is_inbound = flow.direction is Direction.INBOUND
        if is_inbound and flow.protocol not in (TCP, UDP):  # the kernel answers an echo itself, even if programs listen
            return AttributedPacket(UNKNOWN if flow.protocol in _OTHER_PORTS else KERNEL, 0)
        found = self._find_socket(flow, interface, sender_uid)
        if found is None:
            return AttributedPacket(NOT_LISTENING if is_inbound else UNKNOWN, 0)
        live = self._find_holder(found)
        if live is None:
            return AttributedPacket(UNKNOWN, found.cookie)
        process = self._find_process(live)
        is_same = _is_same_socket(self._find_socket(flow, interface, sender_uid), found)
        if not is_same or read_process(live.pid) != live:
            return AttributedPacket(UNKNOWN, found.cookie)
        if process.is_file_told:
            self._known.put(process.exec_id, process)  # only now: had it ended, another process may have its pid
        return AttributedPacket(Attribution(AttributionSource.PROCFS, process), found.cookie)

    def find_asker(self, _flow: Flow) -> Asker | None:
        """Nothing is noted beforehand."""
        return None

    def find_program(self, exec_id: int) -> str | None:
        process = self._known.find(exec_id)
        return process.program if process else None

    def _find_process(self, live: LiveProcess) -> Process:
        """The known Process, if it still runs the same, or one built anew."""
        exec_id = _number(live)
        process = self._known.find(exec_id)
        if process is None:
            image = msgspec.structs.replace(image_of(live), exec_id=exec_id)
            process = self._builder.build(image, pid=live.pid, started_ns=live.started_ns, uid=live.uid)
        return process

    def _find_socket(self, flow: Flow, interface: int, sender_uid: int | None) -> DiagSocket | None:
        if flow.direction is Direction.INBOUND:
            return self._sockets.find_receiver(flow, interface)
        if flow.protocol == TCP:
            found = self._sockets.find_receiver(flow, interface)
            return found if found and found.is_connected_as(flow) else None
        senders = [each for each in self._list_candidates(flow) if each.unsent_bytes]
        return senders[0] if len(senders) == 1 and senders[0].uid == sender_uid else None

    def _list_candidates(self, flow: Flow) -> list[DiagSocket]:
        if flow.protocol == UDP:
            return [each for each in self._sockets.list_sockets(UDP, flow.local_port) if each.takes(flow)]
        if flow.protocol not in (ICMP, ICMPV6):
            return []
        ports = (flow.local_port, 0)  # a ping socket has the identifier, a raw one any
        return [each for each in read_raw_sockets() if each.protocol == flow.protocol and each.local_port in ports]

    def _find_holder(self, found: DiagSocket) -> LiveProcess | None:
        """The process that holds the socket; of several that run the same, the newest. Init holds it for others."""
        pids = self._holders.find_holders(found.inode, found.uid) if found.inode else []
        processes = [read_process(pid) for pid in pids if pid != INIT or len(pids) == 1]
        known = [process for process in processes if process is not None]
        is_one = len({_what_runs(process) for process in known}) == 1
        return max(known, key=lambda process: process.started_ns) if is_one and len(known) == len(processes) else None


def _what_runs(process: LiveProcess) -> tuple[object, ...]:
    return process.executable, process.device, process.inode, process.argv, process.uid


def _is_same_socket(now: DiagSocket | None, before: DiagSocket) -> bool:
    return now is not None and (now.inode, now.cookie, now.uid) == (before.inode, before.cookie, before.uid)


def _number(live: LiveProcess) -> int:
    """An exec id that stays the same while the process runs the same, and that no other process has."""
    digest = hashlib.blake2b(bytes_of(repr(live)), digest_size=8).digest()
    return _PSEUDO_ID | int.from_bytes(digest, "big") >> 2
