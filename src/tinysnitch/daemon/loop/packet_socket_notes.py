"""Reports each process that uses a packet socket, once: what such a socket sends is seen by no rule.

The holders of a socket are looked for among the descriptors of all processes, in a thread: 200,000 descriptors would
hold up all verdicts for 1.5 s.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from tinysnitch.core.engine.records import PacketSocketSeen
from tinysnitch.kernel.bpf.packet_socket_watch import PacketSocketWatch
from tinysnitch.kernel.proc.packet_sockets import PacketSocketHolder, find_holders
from tinysnitch.kernel.system.clock import read_instant
from tinysnitch.kernel.system.offload import NoThread, Offload

LOOK_EVERY_S = 30.0  # at the table of open sockets: events tell only of those that are opened or send


class PacketSocketNotes:
    def __init__(self, watch: PacketSocketWatch, report: Callable[[PacketSocketSeen], None]) -> None:
        self._watch = watch
        self._report = report
        self._offload = Offload()
        self._timer: asyncio.TimerHandle | None = None
        self._is_looking = False
        self._is_stopped = False

    def start(self) -> None:
        """Report the processes that have one now, and those of later. If it raises, looks at the table go on."""
        self._look()
        descriptor = self._watch.fileno()
        if descriptor is not None:
            asyncio.get_running_loop().add_reader(descriptor, self._read)

    def stop(self) -> None:
        self._is_stopped = True
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
        if self._is_looking:
            return
        unknown = self._watch.find_unknown()
        if unknown:
            with suppress(NoThread):  # the next look finds them
                self._offload.begin(partial(find_holders, unknown), partial(self._looked, unknown))
                self._is_looking = True

    def _looked(self, inodes: set[int], found: list[PacketSocketHolder] | None) -> None:
        self._is_looking = False
        if found is not None and not self._is_stopped:
            self._tell(self._watch.take_found(inodes, found))

    def _tell(self, holders: Iterable[PacketSocketHolder]) -> None:
        now = read_instant()
        for holder in holders:
            self._report(PacketSocketSeen(holder.pid, holder.uid, holder.executable, now.wall_s))
