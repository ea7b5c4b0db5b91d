"""Reports who uses a packet socket, which no rule sees: each process once."""

import asyncio
from collections.abc import Callable, Iterable

from tinysnitch.core.records import PacketSocketSeen
from tinysnitch.kernel.clock import read_instant
from tinysnitch.kernel.packet_socket_watch import PacketSocketWatch
from tinysnitch.kernel.packet_sockets import PacketSocketHolder

LOOK_EVERY_S = 30.0  # at the table of open sockets, for those that neither open nor send anything now


class PacketSocketNotes:
    def __init__(self, watch: PacketSocketWatch, report: Callable[[PacketSocketSeen], None]) -> None:
        self._watch = watch
        self._report = report
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Report who has one now, and from now on."""
        descriptor = self._watch.fileno()
        if descriptor is not None:
            asyncio.get_running_loop().add_reader(descriptor, self._read)
        self._look()

    def stop(self) -> None:
        descriptor = self._watch.fileno()
        if descriptor is not None:
            asyncio.get_running_loop().remove_reader(descriptor)
        if self._timer:
            self._timer.cancel()
        self._watch.close()

    def _read(self) -> None:
        self._tell(self._watch.read_events())

    def _look(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)
        self._tell(self._watch.look())

    def _tell(self, holders: Iterable[PacketSocketHolder]) -> None:
        now = read_instant()
        for holder in holders:
            self._report(PacketSocketSeen(holder.pid, holder.uid, holder.executable, now.wall_s))
