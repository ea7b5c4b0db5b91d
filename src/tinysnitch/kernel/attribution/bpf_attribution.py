"""Attributes flows with BPF: by its maps, and by sock_diag where these lack an entry. A Process is built once an image.

A miss scans /proc only for a socket whose owner has left it to others, or that has no known owner (of an MPTCP socket
sock_diag shows the kernel's own socket below it). What cannot be proved is UNKNOWN.
"""

from typing import Protocol

from tinysnitch.core.model.flow import TCP, UDP, Direction, Flow
from tinysnitch.core.model.process import (
    KERNEL,
    NOT_LISTENING,
    UNKNOWN,
    Asker,
    AttributedPacket,
    Attribution,
    AttributionSource,
)
from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.kernel.attribution.process_builder import ImageTable, ProcessBuilder
from tinysnitch.kernel.attribution.socket_holders import SocketUsers
from tinysnitch.kernel.bpf.layout import EXEC_ID_KERNEL, EXEC_ID_UNKNOWN, IMAGE_BOOTSTRAPPED, FlowEntry, Listener, Owner
from tinysnitch.kernel.netlink.sock_diag import DiagSocket, SocketDiag

_CAPACITY = 8192


class FlowTable(ImageTable, Protocol):
    """What the attributor needs of the kernel's side: BpfPrograms, or a fake in tests."""

    def find_flow(self, flow: Flow) -> FlowEntry | None: ...
    def find_owner(self, cookie: int) -> Owner | None: ...
    def find_sender(self, cookie: int) -> Owner | None: ...
    def is_socket_open(self, cookie: int) -> bool: ...
    def add_listener(self, protocol: int, port: int, address: bytes, listener: Listener) -> bool: ...
    def withdraw_listener(self, cookie: int) -> None: ...
    def replace_owner(self, cookie: int, owner: Owner) -> None: ...
    def remember_owner(self, flow: Flow, owner: Owner) -> None: ...


class BpfAttributor:
    def __init__(self, table: FlowTable, sockets: SocketDiag, builder: ProcessBuilder) -> None:
        self._table = table
        self._sockets = sockets
        self._builder = builder
        self._users = SocketUsers(table)
        self._known: BoundedTable[tuple[int, int, int], Attribution] = BoundedTable(_CAPACITY)

    def forget(self) -> None:
        """Build every Process anew."""
        self._known.clear()

    def attribute(self, flow: Flow, interface: int, _sender_uid: int | None) -> AttributedPacket:
        """Raises ScanNotDue, TooManyWait. The uid of the sender is not needed: BPF has noted the sender."""
        entry = self._table.find_flow(flow)
        if entry and entry.owner.exec_id == EXEC_ID_KERNEL:
            return AttributedPacket(KERNEL, entry.cookie)
        if flow.direction is Direction.INBOUND and flow.protocol in (TCP, UDP):
            return self._attribute_inbound(flow, entry, interface)
        if entry is None or entry.owner.exec_id == EXEC_ID_UNKNOWN:
            return self._attribute_by_socket(flow, entry, interface)
        return self._attribute_to_sender(entry.owner, entry.cookie)

    def find_asker(self, flow: Flow) -> Asker | None:
        """Who sends an outbound packet, as BPF has noted it: no Process is built. None: that takes more."""
        entry = self._table.find_flow(flow)
        if entry is None or entry.owner.exec_id in (EXEC_ID_UNKNOWN, EXEC_ID_KERNEL):
            return None
        return Asker(entry.owner.exec_id, entry.owner.uid)

    def find_program(self, exec_id: int) -> str | None:
        image = self._table.find_image(exec_id)
        return self._builder.name(image).path if image else None

    def _attribute_by_socket(self, flow: Flow, entry: FlowEntry | None, interface: int) -> AttributedPacket:
        """For a flow without a noted owner: its socket is older than the daemon, or found no room in the maps."""
        cookie = entry.cookie if entry else 0
        # Only for TCP: several UDP sockets may share a port, and nothing tells which of them sent.
        found = self._sockets.find_receiver(flow, interface) if flow.protocol == TCP and not cookie else None
        if found and found.is_connected_as(flow):
            cookie = found.cookie
        owner = self._table.find_sender(cookie) if cookie else None
        if owner is None or owner.exec_id in (EXEC_ID_UNKNOWN, EXEC_ID_KERNEL):
            is_noted = flow.protocol in (TCP, UDP)  # BPF notes each miss that has all its headers
            return AttributedPacket(UNKNOWN, cookie, is_note_lost=is_noted and entry is None)
        self._table.remember_owner(flow, owner)
        return self._attribute_to_sender(owner, cookie)

    def _attribute_to_sender(self, owner: Owner, cookie: int) -> AttributedPacket:
        """For an outbound packet, by the owner that was noted when it was sent.

        The owner's image may be forgotten by now: images stay until 4096 more have ended, and in a flood of short-lived
        programs a packet may wait for longer. As UNKNOWN it would pass the rules that deny its program, so the note
        counts as lost. But if the socket is still open, its owner left it to a process that sends without a hook
        (sender.bpf.h). All that this one sends comes here, and would be dropped for ever: so it is UNKNOWN.
        """
        attribution = self._find_attribution(owner)
        if attribution is None:
            return AttributedPacket(UNKNOWN, cookie, is_note_lost=not self._table.is_socket_open(cookie))
        return AttributedPacket(attribution, cookie)

    def _attribute_inbound(self, flow: Flow, entry: FlowEntry | None, interface: int) -> AttributedPacket:
        """Who takes the packet. Tried twice: when a socket is being closed, another may have its port."""
        looks = (self._find_taker(flow, entry, interface) for _ in range(2))
        return next(filter(None, looks), AttributedPacket(NOT_LISTENING, 0))

    def _find_taker(self, flow: Flow, entry: FlowEntry | None, interface: int) -> AttributedPacket | None:
        """The kernel's own look-up finds the socket, find_user() the process that holds it now. None: try again."""
        noted = entry.owner if entry and entry.owner.exec_id != EXEC_ID_UNKNOWN else None
        found = self._sockets.find_receiver(flow, interface)
        if found is None:  # no socket has the port, or it does not listen, or is connected elsewhere
            return AttributedPacket(NOT_LISTENING, 0)
        # None for a socket that the maps do not know. So for MPTCP: sock_diag shows the kernel's own socket below the
        # program's, with the inode of the program's.
        owner = self._find_noted_owner(found, entry)
        likely = owner or noted
        user = self._users.find_user(likely, found.inode, found.uid)
        if user is None and likely and self._users.is_ending(likely):  # its socket is closed with it
            return AttributedPacket(NOT_LISTENING, 0)
        if user is None or user.exec_id == EXEC_ID_UNKNOWN:
            return self._tell_unknown(found, flow, interface)
        # For MPTCP the process that bound the socket may have changed its user. BPF looks at the program's socket, so
        # it is noted there (entry.cookie).
        is_binder = owner is None and noted is not None and noted.pid == user.pid
        if user != likely:
            self._table.replace_owner(entry.cookie if entry and is_binder else found.cookie, user)
        # From now on BPF finds the owner by itself, or knows that several programs share the port. Else it would name
        # the owner of another socket each time that the packet walks the chain, which would never end.
        is_named = entry is not None and noted is not None and entry.cookie == found.cookie
        if not is_named and not is_binder and self._add_listener(found, user):
            self._withdraw_closed(found, self._sockets.find_receiver(flow, interface))
        elif user != noted:  # noted with the flow it would outlive the socket
            self._table.remember_owner(flow, user)
        # `user` was just seen to run: it has an image, unless it ended this very moment and thousands with it.
        return AttributedPacket(self._find_attribution(user) or UNKNOWN, found.cookie)

    def _add_listener(self, found: DiagSocket, user: Owner) -> bool:
        """Note who takes the port. False: this socket was noted already."""
        listener = Listener(found.cookie, user)
        return self._table.add_listener(found.protocol, found.local_port, found.local, listener)

    def _tell_unknown(self, found: DiagSocket, flow: Flow, interface: int) -> AttributedPacket | None:
        """UNKNOWN; but None if the socket is being closed: its owner ends a moment before it."""
        now = self._sockets.find_receiver(flow, interface)
        return AttributedPacket(UNKNOWN, found.cookie) if now and now.cookie == found.cookie else None

    def _withdraw_closed(self, found: DiagSocket, now: DiagSocket | None) -> None:
        """Undo `_add_listener` if the socket was closed before it: no hook will. `now`: what would take the packet."""
        is_there = now is not None and (now.cookie == found.cookie or self._sockets.is_open(found))
        if not is_there:
            self._table.withdraw_listener(found.cookie)

    def _find_noted_owner(self, found: DiagSocket, entry: FlowEntry | None) -> Owner | None:
        """The noted owner of a socket, even if it has ended; None for a socket that the maps do not know."""
        owner = self._table.find_owner(found.cookie)
        return entry.owner if owner is None and entry and entry.cookie == found.cookie else owner

    def _find_attribution(self, owner: Owner) -> Attribution | None:
        """None: the image of the owner is forgotten."""
        key = (owner.exec_id, owner.pid, owner.uid)
        known = self._known.find(key)
        if known is not None and known.process is not None and known.process.started_ns == owner.started_ns:
            return known
        image = self._table.find_image(owner.exec_id)
        if image is None:
            return None
        process = self._builder.build(image, pid=owner.pid, started_ns=owner.started_ns, uid=owner.uid)
        source = AttributionSource.PROCFS if image.flags & IMAGE_BOOTSTRAPPED else AttributionSource.BPF
        attribution = Attribution(source, process)
        if process.is_file_told:
            self._known.put(key, attribution)
        return attribution
