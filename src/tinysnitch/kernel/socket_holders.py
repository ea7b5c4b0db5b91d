"""Which processes hold a socket: an index of all /proc/PID/fd, for when nothing was captured.

Rules: (1) a scan costs milliseconds, so scans take a third of the time at most: the next one waits twice as long as the
last took. (2) What is asked meanwhile has to wait for it (ScanNotDue), all together: no answer is made up. (3) Who was
asked for before a scan began is answered by it, also by nobody: none waits for two. (4) Whoever has more descriptors
than are looked at makes nobody wait. (5) Those that were looked through in vain, and for long, are for a tenth of the
time at most: else whoever hides a socket behind thousands could have each of its visitors hold up everybody's.
"""

import time
from collections import Counter
from collections.abc import Callable

from tinysnitch.core.table import BoundedTable
from tinysnitch.kernel import procfs

_SHARE = 2  # of the last scan's duration
_CAPACITY = 1024
_DESCRIPTORS = 4096  # of a process, the lowest: more than servers have, and 20 ms
_LONG_S = 0.002  # to look through those of one process
_PAUSE = 9  # times as long as it took


class ScanNotDue(Exception):
    """Ask again after `wait_s`: the packet is held, so nothing is lost."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"no scan for {wait_s:.3f} s")
        self.wait_s = wait_s


class SocketHolders:
    def __init__(
        self, clock: Callable[[], float] = time.monotonic, look_clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._look_clock = look_clock
        self._holders: dict[int, list[int]] = {}  # as large as /proc: the kernel bounds descriptors
        self._places: BoundedTable[tuple[int, int], str] = BoundedTable(_CAPACITY)
        self._next_scan_s = 0.0
        self._long: BoundedTable[int, bool] = BoundedTable(_CAPACITY)  # pids that were looked through in vain
        self._next_long_s = 0.0
        self._waiting: Counter[int] = Counter()  # inodes asked for since the last scan, each time for a held packet
        self._answered: Counter[int] = Counter()  # the same, before it began

    def find_holders(self, inode: int) -> list[int]:
        """Pids, checked just now, so that each still holds it. Raises ScanNotDue."""
        found = self._list_known(inode)
        if found:
            return found
        if self._answered[inode]:
            self._answered[inode] -= 1
            return []
        self._scan_for(inode)
        return self._list_known(inode)

    def is_held(self, pid: int, inode: int) -> bool:
        """Whether the process has the socket open now: one look where it had it before, else at all it has."""
        known = self._places.find((pid, inode))
        if known is not None and procfs.is_socket(pid, known, inode):
            return True
        started_s = self._look_clock()
        if self._long.find(pid) and started_s < self._next_long_s:
            return False
        place = procfs.find_socket(pid, inode, _DESCRIPTORS)
        if place is not None:
            self._places.put((pid, inode), place)
        self._note_look(pid, started_s, is_in_vain=place is None)
        return place is not None

    def _note_look(self, pid: int, started_s: float, *, is_in_vain: bool) -> None:
        now_s = self._look_clock()
        if is_in_vain and now_s - started_s > _LONG_S:
            self._long.put(pid, True)
            self._next_long_s = now_s + _PAUSE * (now_s - started_s)
        else:
            self._long.pop(pid)

    def _list_known(self, inode: int) -> list[int]:
        return [pid for pid in self._holders.get(inode, ()) if self.is_held(pid, inode)]

    def _scan_for(self, inode: int) -> None:
        started_s = self._clock()
        if started_s < self._next_scan_s:
            self._waiting[inode] += 1
            raise ScanNotDue(self._next_scan_s - started_s)
        self._answered, self._waiting = self._waiting, Counter()
        holders: dict[int, list[int]] = {}
        for pid in procfs.list_processes():
            for held in {held for _, held in procfs.list_sockets(pid, _DESCRIPTORS)}:
                holders.setdefault(held, []).append(pid)
        self._holders = holders
        ended_s = self._clock()
        self._next_scan_s = ended_s + _SHARE * (ended_s - started_s)
