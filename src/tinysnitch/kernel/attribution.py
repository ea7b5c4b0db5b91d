"""Whose flow: the BPF maps tell, sock_diag helps where they have no entry, and a Process is built once per image.

With BPF a miss never scans /proc, and what cannot be proved is UNKNOWN.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, Self

import msgspec

from tinysnitch.core.flow import TCP, UDP, Direction, Flow
from tinysnitch.core.process import KERNEL, NOT_LISTENING, UNKNOWN, Attribution, AttributionSource
from tinysnitch.core.table import BoundedTable
from tinysnitch.kernel.bpf_structs import (
    EXEC_ID_KERNEL,
    EXEC_ID_UNKNOWN,
    IMAGE_SEEDED,
    FlowEntry,
    Image,
    Listener,
    Owner,
    ProcessEntry,
)
from tinysnitch.kernel.process_builder import NoImages, ProcessBuilder
from tinysnitch.kernel.procfs_attribution import ProcfsAttributor
from tinysnitch.kernel.sockets import DiagSocket, SocketDiag

_CAPACITY = 8192


class Claim(msgspec.Struct, frozen=True):
    attribution: Attribution
    cookie: int  # of the socket, 0 when none is known


class FlowTable(Protocol):
    """What is asked of the kernel's side; BpfPrograms is one."""

    def find_flow(self, flow: Flow) -> FlowEntry | None: ...
    def find_image(self, exec_id: int) -> Image | None: ...
    def find_process(self, pid: int) -> ProcessEntry | None: ...
    def find_owner(self, cookie: int) -> Owner | None: ...
    def seed_listener(self, protocol: int, port: int, address: bytes, listener: Listener) -> bool: ...
    def remember_owner(self, flow: Flow, owner: Owner) -> None: ...


class Attributor:
    """One for each network namespace; made in it. Without a table: the degraded mode over /proc."""

    def __init__(
        self,
        table: FlowTable | None,
        *,
        extra_interpreters: Sequence[str] = (),
        needs_sha256: Callable[[str], bool] = lambda _path: False,
    ) -> None:
        self._table = table
        self._sockets = SocketDiag()
        images = table if table is not None else NoImages()
        self._builder = ProcessBuilder(images, extra_interpreters=extra_interpreters, needs_sha256=needs_sha256)
        self._procfs = ProcfsAttributor(self._sockets, self._builder)
        self._known: BoundedTable[tuple[int, int, int], Attribution] = BoundedTable(_CAPACITY)
        self.unknown = 0  # packets of which it could not be told whose they are

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._sockets.close()
        self._builder.close()

    def forget(self) -> None:
        """Build every Process anew: rules ask for other facts of them now (sha256)."""
        self._known.clear()
        self._procfs.forget()

    def attribute(self, flow: Flow, in_interface: int = 0) -> Claim:
        """Whose flow it is, for a packet that is held right now. `in_interface`: index of the one it came by."""
        claim = self._find_claim(flow, in_interface)
        self.unknown += claim.attribution is UNKNOWN
        return claim

    def _find_claim(self, flow: Flow, in_interface: int) -> Claim:
        if self._table is None:
            attribution, cookie = self._procfs.attribute(flow, in_interface)
            return Claim(attribution, cookie)
        entry = self._table.find_flow(flow)
        if entry is None or entry.exec_id == EXEC_ID_UNKNOWN:
            return self._attribute_by_socket(self._table, flow, entry.cookie if entry else 0, in_interface)
        if entry.exec_id == EXEC_ID_KERNEL:
            return Claim(KERNEL, entry.cookie)
        return Claim(self._find_attribution(self._table, entry), entry.cookie)

    def _attribute_by_socket(self, table: FlowTable, flow: Flow, cookie: int, in_interface: int) -> Claim:
        """The kernel's side knows no owner: a socket from before our start, or one that found no room."""
        is_inbound = flow.direction is Direction.INBOUND
        found = None if cookie else self._find_socket(flow, in_interface)
        if found is None and not cookie:
            is_closed = is_inbound and flow.protocol in (TCP, UDP)
            return Claim(NOT_LISTENING if is_closed else UNKNOWN, 0)
        cookie = found.cookie if found else cookie
        owner = table.find_owner(cookie)
        if owner is None or owner.exec_id in (EXEC_ID_UNKNOWN, EXEC_ID_KERNEL):
            return Claim(UNKNOWN, cookie)
        table.remember_owner(flow, owner)
        if found and is_inbound:  # from now on the kernel's side finds it alone, unless several take the port
            table.seed_listener(flow.protocol, found.local_port, found.local, Listener(cookie, owner))
        return Claim(self._find_attribution(table, owner), cookie)

    def _find_socket(self, flow: Flow, in_interface: int) -> DiagSocket | None:
        """Inbound: who takes it. Outbound only TCP: of UDP sockets on one port it cannot be told which one sent."""
        is_inbound = flow.direction is Direction.INBOUND
        if flow.protocol != TCP and not (is_inbound and flow.protocol == UDP):
            return None
        found = self._sockets.find_receiver(flow, in_interface)
        return found if found and (is_inbound or found.is_connected_as(flow)) else None

    def _find_attribution(self, table: FlowTable, owner: Owner | FlowEntry) -> Attribution:
        key = (owner.exec_id, owner.pid, owner.uid)
        known = self._known.find(key)
        if known is not None and known.process is not None and known.process.started_ns == owner.started_ns:
            return known
        image = table.find_image(owner.exec_id)
        if image is None:
            return UNKNOWN
        process = self._builder.build(image, pid=owner.pid, started_ns=owner.started_ns, uid=owner.uid)
        source = AttributionSource.PROCFS if image.flags & IMAGE_SEEDED else AttributionSource.BPF
        attribution = Attribution(source, process)
        self._known.put(key, attribution)
        return attribution
