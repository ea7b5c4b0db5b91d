"""Whose flow: the BPF maps tell, sock_diag helps where they have no entry, and a Process is built once per image.

With BPF a miss scans /proc only for a socket that its owner has left to others, and what cannot be proved is UNKNOWN.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from tinysnitch.core.flow import TCP, UDP, Direction, Flow
from tinysnitch.core.process import KERNEL, NOT_LISTENING, UNKNOWN, Attribution, AttributionSource
from tinysnitch.core.table import BoundedTable
from tinysnitch.kernel.bpf_structs import EXEC_ID_KERNEL, EXEC_ID_UNKNOWN, IMAGE_SEEDED, FlowEntry, Listener, Owner
from tinysnitch.kernel.process_builder import ImageTable, NoImages, ProcessBuilder
from tinysnitch.kernel.procfs_attribution import ProcfsAttributor
from tinysnitch.kernel.socket_users import SocketUsers
from tinysnitch.kernel.sockets import DiagSocket, SocketDiag

_CAPACITY = 8192


class Claim(msgspec.Struct, frozen=True):
    attribution: Attribution
    cookie: int  # of the socket, 0 when none is known
    is_note_lost: bool = False  # whose it is was noted, and has made room for what came since


class NoteLost(Exception):
    """Of a packet that waited for too long, in a flood: whose it is cannot be told any more."""


class FlowTable(ImageTable, Protocol):
    """What is asked of the kernel's side; BpfPrograms is one."""

    def find_flow(self, flow: Flow) -> FlowEntry | None: ...
    def find_owner(self, cookie: int) -> Owner | None: ...
    def find_sender(self, cookie: int) -> Owner | None: ...
    def seed_listener(self, protocol: int, port: int, address: bytes, listener: Listener) -> bool: ...
    def withdraw_listener(self, cookie: int) -> None: ...
    def replace_owner(self, cookie: int, owner: Owner) -> None: ...
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
        self._users = SocketUsers(images)
        self._known: BoundedTable[tuple[int, int, int], Attribution] = BoundedTable(_CAPACITY)
        self.unknown = 0  # packets of which it could not be told whose they are

    def close(self) -> None:
        self._sockets.close()
        self._builder.close()

    def forget(self) -> None:
        """Build every Process anew: rules ask for other facts of them now (sha256)."""
        self._known.clear()
        self._procfs.forget()

    def attribute(self, flow: Flow, in_interface: int = 0, sender_uid: int | None = None) -> Claim:
        """Whose flow it is, for a packet that is held right now. Raises ScanNotDue.

        `in_interface`: index of the one it came by. `sender_uid`: whose socket sends it, if that is open.
        """
        claim = self._find_claim(flow, in_interface, sender_uid)
        self.unknown += claim.attribution is UNKNOWN and not claim.is_note_lost
        return claim

    def _find_claim(self, flow: Flow, in_interface: int, sender_uid: int | None) -> Claim:
        if self._table is None:
            attribution, cookie = self._procfs.attribute(flow, in_interface, sender_uid)
            return Claim(attribution, cookie)
        entry = self._table.find_flow(flow)
        if entry and entry.owner.exec_id == EXEC_ID_KERNEL:
            return Claim(KERNEL, entry.cookie)
        if flow.direction is Direction.INBOUND and flow.protocol in (TCP, UDP):
            return self._attribute_inbound(self._table, flow, entry, in_interface)
        if entry is None or entry.owner.exec_id == EXEC_ID_UNKNOWN:
            return self._attribute_by_socket(self._table, flow, entry)
        return Claim(self._find_attribution(self._table, entry.owner), entry.cookie)

    def _attribute_by_socket(self, table: FlowTable, flow: Flow, entry: FlowEntry | None) -> Claim:
        """The kernel's side knows no owner: a socket from before our start, or one that found no room."""
        cookie = entry.cookie if entry else 0
        # Only TCP: of UDP sockets on one port it cannot be told which one sent.
        found = self._sockets.find_receiver(flow) if flow.protocol == TCP and not cookie else None
        if found and found.is_connected_as(flow):
            cookie = found.cookie
        owner = table.find_sender(cookie) if cookie else None
        if owner is None or owner.exec_id in (EXEC_ID_UNKNOWN, EXEC_ID_KERNEL):
            is_noted = flow.protocol in (TCP, UDP)  # each miss with all its headers is
            return Claim(UNKNOWN, cookie, is_note_lost=is_noted and entry is None)
        table.remember_owner(flow, owner)
        return Claim(self._find_attribution(table, owner), cookie)

    def _attribute_inbound(self, table: FlowTable, flow: Flow, entry: FlowEntry | None, in_interface: int) -> Claim:
        """Who takes it. Looked at once more where the socket is closed just now: another may have the port already."""
        looks = (self._find_taker(table, flow, entry, in_interface) for _ in range(2))
        return next(filter(None, looks), Claim(NOT_LISTENING, 0))

    def _find_taker(self, table: FlowTable, flow: Flow, entry: FlowEntry | None, in_interface: int) -> Claim | None:
        """The kernel's own look-up tells the socket, and who holds that now is looked at."""
        noted = entry.owner if entry and entry.owner.exec_id != EXEC_ID_UNKNOWN else None
        cookie = entry.cookie if entry else 0
        found = self._sockets.find_receiver(flow, in_interface)
        if found is None:  # nobody has the port any more, or does not listen, or is connected to another
            return Claim(NOT_LISTENING, 0)
        owner = self._find_noted_owner(table, found, entry)
        if owner is None:  # the kernel made it for another (MPTCP), or it is not known
            known = Claim(self._find_attribution(table, noted), cookie) if noted else None
            return known or self._tell_unknown(found, flow, in_interface)
        user = self._users.find_user(owner, found.inode)
        if user is None and self._users.is_ending(owner):  # with it the socket goes
            return Claim(NOT_LISTENING, 0)
        if user is None or user.exec_id == EXEC_ID_UNKNOWN:
            return self._tell_unknown(found, flow, in_interface)
        if user != owner:
            table.replace_owner(found.cookie, user)
        if user != noted:
            table.remember_owner(flow, user)
        # From now on the kernel's side finds it alone, unless several take the port.
        if noted is None and self._seed_listener(table, found, user):
            self._withdraw_closed(table, found, self._sockets.find_receiver(flow, in_interface))
        return Claim(self._find_attribution(table, user), found.cookie)

    def _seed_listener(self, table: FlowTable, found: DiagSocket, user: Owner) -> bool:
        """Whether it is new there."""
        listener = Listener(found.cookie, user)
        return table.seed_listener(found.protocol, found.local_port, found.local, listener)

    def _tell_unknown(self, found: DiagSocket, flow: Flow, in_interface: int) -> Claim | None:
        """None for a socket that is closed just now, of which the owner is gone a moment before it is."""
        now = self._sockets.find_receiver(flow, in_interface)
        return Claim(UNKNOWN, found.cookie) if now and now.cookie == found.cookie else None

    def _withdraw_closed(self, table: FlowTable, found: DiagSocket, now: DiagSocket | None) -> None:
        """No hook tells any more of what was closed before it was noted. `now`: who would take the packet by now."""
        is_there = now is not None and (now.cookie == found.cookie or self._sockets.is_open(found))
        if not is_there:
            table.withdraw_listener(found.cookie)

    def _find_noted_owner(self, table: FlowTable, found: DiagSocket, entry: FlowEntry | None) -> Owner | None:
        """Also one that has ended; None for a socket that the kernel's side does not know."""
        owner = table.find_owner(found.cookie)
        return entry.owner if owner is None and entry and entry.cookie == found.cookie else owner

    def _find_attribution(self, table: FlowTable, owner: Owner) -> Attribution:
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
        if process.is_file_told:
            self._known.put(key, attribution)
        return attribution
