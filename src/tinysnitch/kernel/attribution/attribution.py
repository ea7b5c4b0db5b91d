"""Attributes the flows of held packets: with BPF (bpf_attribution.py), else by /proc (procfs_attribution.py)."""

from collections.abc import Callable, Sequence
from typing import Protocol

from tinysnitch.core.model.flow import Flow
from tinysnitch.core.model.process import UNKNOWN, Asker, AttributedPacket, asker_of
from tinysnitch.kernel.attribution.bpf_attribution import BpfAttributor, FlowTable
from tinysnitch.kernel.attribution.process_builder import NoImages, ProcessBuilder
from tinysnitch.kernel.attribution.procfs_attribution import ProcfsAttributor
from tinysnitch.kernel.attribution.socket_holders import TooManyWait
from tinysnitch.kernel.netlink.sock_diag import SocketDiag


class _Source(Protocol):
    def attribute(self, flow: Flow, interface: int, sender_uid: int | None, /) -> AttributedPacket: ...
    def find_asker(self, flow: Flow, /) -> Asker | None: ...
    def find_program(self, exec_id: int, /) -> str | None: ...
    def forget(self) -> None: ...


class Attributor:
    """For the network namespace that it is made in. `table` None: the degraded mode, without BPF."""

    def __init__(
        self,
        table: FlowTable | None,
        *,
        extra_interpreters: Sequence[str] = (),
        needs_sha256: Callable[[str], bool] = lambda _path: False,
    ) -> None:
        self._sockets = SocketDiag()
        images = NoImages() if table is None else table
        self._builder = ProcessBuilder(images, extra_interpreters=extra_interpreters, needs_sha256=needs_sha256)
        self._source: _Source = (
            ProcfsAttributor(self._sockets, self._builder)
            if table is None
            else BpfAttributor(table, self._sockets, self._builder)
        )
        self.unknown = 0  # packets that could not be attributed

    def close(self) -> None:
        self._sockets.close()
        self._builder.close()

    def forget(self) -> None:
        """Build every Process anew: the rules may need other facts about it now (sha256)."""
        self._source.forget()

    def attribute(self, flow: Flow, interface: int = 0, sender_uid: int | None = None) -> AttributedPacket:
        """For a packet that is held right now. Raises ScanNotDue.

        `interface`: index of the interface that the packet came by or leaves by. `sender_uid`: the user who made the
        socket that sends it, None when the socket is closed.
        """
        try:
            attributed = self._source.attribute(flow, interface, sender_uid)
        except TooManyWait:
            return AttributedPacket(UNKNOWN, 0, is_note_lost=True)
        self.unknown += attributed.attribution is UNKNOWN and not attributed.is_note_lost
        return attributed

    def find_program(self, exec_id: int) -> str | None:
        """What an exec runs, as rules name it; None: that is forgotten."""
        return self._source.find_program(exec_id)

    def find_asker(self, flow: Flow, interface: int, sender_uid: int | None) -> Asker:
        """Who sends a DNS question that is held right now. Raises ScanNotDue."""
        noted = self._source.find_asker(flow)
        if noted is not None:
            return noted
        attributed = self.attribute(flow, interface, sender_uid)
        return asker_of(attributed.attribution, is_note_lost=attributed.is_note_lost)
