"""Writes rows of traffic into the history of sums, in a thread: no verdict waits for the disk.

Rows wait in memory only while a write is under way. Those that find no room there, or that the disk does not take, are
counted by their connections.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from threading import Lock

from msgspec.structs import replace

from tinysnitch.core.traffic.asked_names import NameAsked
from tinysnitch.core.traffic.row import PRIVATE, TrafficRow, without_names
from tinysnitch.kernel.system.clock import read_instant
from tinysnitch.kernel.system.offload import NoThread
from tinysnitch.store.traffic.traffic_store import TrafficStore, Written

MAX_WAITING = 65_536  # rows: 30 MB

# `begin(work, done)` does the work in a thread, then calls `done` in the loop, with None if it failed. Raises NoThread.
Begin = Callable[[Callable[[], Written], Callable[[Written | None], object]], object]

_log = logging.getLogger(__name__)


class TrafficRecorder:
    def __init__(self, store: TrafficStore, begin: Begin) -> None:
        self.lost = 0  # connections and questions that are in no row of the file
        self.private: frozenset[str] = frozenset()  # programs that are counted, and never kept by name
        self._store = store
        self._begin = begin
        self._waiting: list[TrafficRow] = []
        self._asked: list[NameAsked] = []
        self._lock = Lock()  # of what waits
        self._is_writing = False

    def take(self, rows: Sequence[TrafficRow]) -> None:
        """Have rows written, in a moment."""
        kept = [without_names(row) if row.key.program in self.private else row for row in rows]
        with self._lock:
            room = MAX_WAITING - len(self._waiting)
            self._waiting += kept[:room]
        self._lose(kept[room:])
        self._write_soon()

    def take_questions(self, asked: Sequence[NameAsked]) -> None:
        """Have the names that programs asked for written, in a moment."""
        kept = [replace(one, program=PRIVATE, name="") if one.program in self.private else one for one in asked]
        with self._lock:
            room = MAX_WAITING - len(self._asked)
            self._asked += kept[:room]
        self.lost += len(kept[room:])
        self._write_soon()

    def write_waiting(self) -> Written:
        """Write what waits, now, and behind a write that is under way. For a thread; `note` takes what comes of it."""
        with self._lock:
            rows, self._waiting = self._waiting, []
            asked, self._asked = self._asked, []
        return self._store.write(rows, read_instant().wall_s, asked)

    def note(self, written: Written) -> None:
        """Count what was lost, and tell of it. For the loop, as others may not log."""
        self.lost += written.lost
        for warning in written.warnings:
            _log.warning("%s", warning)

    def close(self) -> None:
        """Write the rest, at the end."""
        self.note(self.write_waiting())
        self._store.close()

    def _write_soon(self) -> None:
        if self._is_writing:
            return
        try:
            self._begin(self.write_waiting, self._end_write)
        except NoThread:  # the next rows try again
            return
        self._is_writing = True

    def _end_write(self, written: Written | None) -> None:
        self._is_writing = False
        if written is not None:
            self.note(written)
        if self._waiting or self._asked:
            self._write_soon()

    def _lose(self, rows: Iterable[TrafficRow]) -> None:
        self.lost += sum(row.connections for row in rows)
