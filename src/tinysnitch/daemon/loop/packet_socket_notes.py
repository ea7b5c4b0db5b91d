"""Reports each process that uses a packet socket, once: what such a socket sends is seen by no rule.

The holders of a socket are looked for among the descriptors of all processes, in a thread: 200,000 descriptors would
hold up all verdicts for 1.5 s.

An idle daemon does not wake up for this: the driver has the table looked at when something else woke it.
"""

import asyncio
import math
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from tinysnitch.core.engine.records import PacketSocketSeen
from tinysnitch.kernel.bpf.packet_socket_watch import PacketSocketWatch
from tinysnitch.kernel.proc.packet_sockets import PacketSocketHolder, find_holders
from tinysnitch.kernel.system.clock import read_instant
from tinysnitch.kernel.system.offload import NoThread, Offload

LOOK_EACH_S = 30.0  # at most, at the table of open sockets: events tell only of those that are opened or send


class PacketSocketNotes:
    def __init__(self, watch: PacketSocketWatch, report: Callable[[PacketSocketSeen], None]) -> None:
        self._watch = watch
        self._report = report
        self._offload = Offload()
        self._next_look_s = math.inf  # boot-time seconds; none before the start and after the end
        self._is_looking = False
        self._is_stopped = False

    def start(self) -> None:
        """Report the processes that have one now, and those of later. If it raises, looks at the table go on."""
        self._next_look_s = 0.0
        self.look(read_instant().boot_s)
        descriptor = self._watch.fileno()
        if descriptor is not None:
            asyncio.get_running_loop().add_reader(descriptor, self._read)

    def stop(self) -> None:
        self._next_look_s = math.inf
        self._is_stopped = True
        descriptor = self._watch.fileno()
        if descriptor is not None:
            asyncio.get_running_loop().remove_reader(descriptor)
        self._watch.close()

    def _read(self) -> None:
        self._tell(self._watch.read_events())

    def look(self, now_s: float) -> None:
        """Look at the table, if that is due at `now_s` (boot-time seconds)."""
        if now_s < self._next_look_s or self._is_looking:
            return
        self._next_look_s = now_s + LOOK_EACH_S
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
