"""The pinned maps that user space reads and writes, and the program that changes those of ports, opened together.

The links are opened beside them: should others remove the pins (`rm -r /sys/fs/bpf/*`), the hooks stay as long as we.
The one entry of the map `settings` is written through a memory map: a change touches one field, by one store, and costs
no system call.
"""

import mmap
import os
from contextlib import ExitStack

from tinysnitch.kernel.bpf import layout
from tinysnitch.kernel.bpf.libbpf import U32, U64, K, Layout, Map, PinnedProgram, V, count_possible_cpus, open_pinned
from tinysnitch.kernel.bpf.objects import SYNC_PROGRAM
from tinysnitch.kernel.bpf.pins import PinFolder, list_folder


class BpfMaps:
    def __init__(self, folder: PinFolder) -> None:
        self._folder = folder
        with ExitStack() as opened:
            self._opened = opened
            self.images = self._open("images", U64, layout.Image)
            self.processes = self._open("processes", U32, layout.ProcessEntry)
            self.sockets = self._open("sockets", U64, layout.OwnedSocket)
            self.released = self._open("released", U64, layout.Owner)
            self.flows = self._open("flows", layout.FlowKey, layout.FlowEntry)
            self.conversations = self._open("conversations", layout.FlowKey, layout.Conversation)
            self.crowded = self._open("crowded", layout.FlowKey, layout.Conversation)
            self.watched = self._open("watched", layout.WatchKey, layout.Watch)
            self.verdicts = self._open("verdicts", layout.VerdictKey, layout.VerdictValue)
            self.own_addresses = self._open("own_addresses", layout.OwnKey, U32)
            self.statistics = self._open("statistics", U32, U64, count_possible_cpus())
            self.sync = PinnedProgram(folder.program_path(SYNC_PROGRAM), layout.Sync)
            opened.callback(self.sync.close)
            for link in list_folder(folder.link_path("")):
                opened.callback(os.close, open_pinned(link))
            self._opened = opened.pop_all()

    def _open(self, name: str, key: Layout[K], value: Layout[V], values: int = 1) -> Map[K, V]:
        found = Map(self._folder.map_path(name), key, value, values)
        self._opened.callback(found.close)
        return found

    def close(self) -> None:
        self._opened.close()


_OFFSETS = layout.Settings.OFFSETS


class BpfSettings:
    """BPF counts `next_exec_id` on while we write beside it, so fields are written one by one (whole, in one store)."""

    def __init__(self, map_fd: int) -> None:
        self._memory = mmap.mmap(map_fd, mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self._view = memoryview(self._memory)
        self._wide = self._view.cast("Q")
        self._narrow = self._view.cast("I")

    def close(self) -> None:
        for view in (self._wide, self._narrow, self._view):
            view.release()
        self._memory.close()

    def initialize(self, *, next_exec_id: int, netns_cookie: int, is_scoped: bool, hash_key: bytes) -> None:
        """`hash_key`: 16 random bytes, for the grains of programs."""
        for field, half in (("hash_key_low", hash_key[:8]), ("hash_key_high", hash_key[8:])):
            self._wide[_OFFSETS[field] // 8] = int.from_bytes(half, "little")
        self._wide[_OFFSETS["next_exec_id"] // 8] = next_exec_id
        self._wide[_OFFSETS["netns_cookie"] // 8] = netns_cookie
        self._narrow[_OFFSETS["is_scoped"] // 4] = is_scoped

    @property
    def generation(self) -> int:
        return self._narrow[_OFFSETS["generation"] // 4]

    @generation.setter
    def generation(self, generation: int) -> None:
        self._narrow[_OFFSETS["generation"] // 4] = generation

    @property
    def own_epoch(self) -> int:
        return self._narrow[_OFFSETS["own_epoch"] // 4]

    @own_epoch.setter
    def own_epoch(self, epoch: int) -> None:
        """Own addresses that were written in an earlier epoch do not count any more."""
        self._narrow[_OFFSETS["own_epoch"] // 4] = epoch

    @property
    def masks(self) -> int:
        """Of which masks there are verdicts of this generation: bit N for mask N."""
        return self._narrow[_OFFSETS["masks"] // 4]

    @masks.setter
    def masks(self, masks: int) -> None:
        self._narrow[_OFFSETS["masks"] // 4] = masks

    def set_watching(self) -> None:
        """Tell BPF that connections may be watched from now on."""
        self._narrow[_OFFSETS["is_watching"] // 4] = True

    def set_flow_generation(self, generation: int) -> None:
        """In this generation there are verdicts for single flows, which come before those for programs."""
        self._narrow[_OFFSETS["flow_generation"] // 4] = generation

    def set_ties(self) -> None:
        """Tell BPF that from now on connections may be tied to the interface that they were judged on."""
        self._narrow[_OFFSETS["has_ties"] // 4] = True

    def set_lost_listeners(self, has_lost: bool) -> None:
        self._narrow[_OFFSETS["has_lost_listeners"] // 4] = has_lost

    def set_packet_limit(self, limit: int) -> None:
        """How many packets of each user are held within a moment (QUOTA_MOMENT_NS) at most. 0: no limit."""
        self._narrow[_OFFSETS["packet_limit"] // 4] = limit

    def set_message_limit(self, limit: int) -> None:
        """How many messages of each user are read within a moment at most. 0: no limit."""
        self._narrow[_OFFSETS["message_limit"] // 4] = limit

    @property
    def traffic_turn(self) -> int:
        """0: none has begun."""
        return self._narrow[_OFFSETS["traffic_turn"] // 4]

    def begin_first_turn(self) -> None:
        """In the table that has rows already."""
        self._narrow[_OFFSETS["traffic_turn"] // 4] = 2

    def begin_turn(self) -> int:
        """From now on rows of traffic go into the other table; returns the turn that ends."""
        turn = self.traffic_turn
        self._narrow[_OFFSETS["traffic_rows"] // 4] = 0
        self._narrow[_OFFSETS["traffic_turn"] // 4] = (turn + 1) & 0xFFFFFFFF
        return turn

    @property
    def traffic_rows(self) -> int:
        """How many there are in this turn."""
        return self._narrow[_OFFSETS["traffic_rows"] // 4]

    def set_awaited(self, is_awaited: bool) -> None:
        """False: BPF is to tell of the next row of traffic."""
        self._narrow[_OFFSETS["is_awaited"] // 4] = is_awaited

    def set_tracing(self, is_tracing: bool) -> None:
        self._narrow[_OFFSETS["is_tracing"] // 4] = is_tracing
