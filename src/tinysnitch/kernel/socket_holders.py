"""Which processes hold a socket: an index of all /proc/PID/fd, for when nothing was captured.

Rules: (1) a scan takes a third of the time at most, and after a piece of it others have their turn: anyone may have
processes and descriptors by the thousand. (2) What is asked before it is over has to wait for it (ScanNotDue), all
together: no answer is made up. (3) A socket that was asked for before a scan began is answered by it, if only with
nobody: none waits for two. Where one holder is enough it is told once it is found: who is handed a socket is mostly
new, and the newest are looked at first. (4) Whoever has more descriptors than are looked at makes nobody wait. (5) To
look long through those of one process takes a tenth of the time for each user (look_budget.py): beyond that only the
lowest are looked at, and a scan tells the rest. (6) Of no user's sockets more than MOST_WAITING packets are held for a
scan, which may take minutes: else the queue would have no place for what others send.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import NoReturn

from tinysnitch.core.table import BoundedTable
from tinysnitch.core.user_share import share_of
from tinysnitch.kernel import procfs
from tinysnitch.kernel.look_budget import LookBudget

PIECE_S = 0.05  # of a scan: most are over in one
LONGEST_S = 0.25  # one, with a process at its end: whatever seems longer, the processor was somebody else's
_SHARE = 2  # times as long as the last piece took is the pause
_CAPACITY = 1024
_DESCRIPTORS = 4096  # of a process, the lowest: more than servers have, and 20 ms
_FEW = 256  # of them, where no more may be looked at: 1 ms
MOST_WAITING = 512  # a sixteenth of the queue
MOST_KEPT = 100_000  # sockets, each as often as there are processes that hold it: 30 MB; and those that were asked for


class ScanNotDue(Exception):
    """Ask again after `wait_s`: the packet is held, so nothing is lost."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"no scan for {wait_s:.3f} s")
        self.wait_s = wait_s


class TooManyWait(Exception):
    """The packet is not to be held: it is lost, like one that finds the queue full."""


class SocketHolders:
    def __init__(
        self, clock: Callable[[], float] = time.monotonic, look_clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._looks = LookBudget(look_clock)
        # Pids with their descriptors, by inode. What all forks have would be gigabytes.
        self._holders: dict[int, dict[int, int]] = {}
        self._places: BoundedTable[tuple[int, int], str] = BoundedTable(_CAPACITY)
        self._left: list[int] = []  # the pids that the scan under way has not come to
        self._is_scanning = False
        self._seen: dict[int, dict[int, int]] = {}  # what it has found
        self._kept = 0  # of that
        self._next_piece_s = 0.0
        # By inode, for how many held packets it was asked: since the last scan began, for the next one to answer; and
        # before it began, for this one.
        self._waiting: Counter[int] = Counter()
        self._answered: Counter[int] = Counter()
        self._held: Counter[int] = Counter()  # packets that wait, since the last scan was over, by whose sockets

    def find_holders(self, inode: int, uid: int, is_enough: Callable[[int], bool] = lambda _pid: False) -> list[int]:
        """Pids, checked just now, so that each still holds the socket of this user. Raises ScanNotDue, TooManyWait.

        `is_enough`: whether others, that are older, need not be looked for."""
        found = self._list_known(inode)
        if not found and not self._is_scanning and self._take_answer(inode):
            return []
        if not found:
            now_s = self._clock()
            is_over = self._scan_for(inode, share_of(uid), now_s)
            found = self._list_known(inode) if is_over else [*filter(is_enough, self._list_held(inode, self._seen))]
            if not found and not is_over:
                self._wait(inode, share_of(uid), now_s)
        if found:
            self._note_found(inode)
        return found

    def _note_found(self, inode: int) -> None:
        """No scan is to say any more whether nobody has it; where it was for this one alone, the next begins anew."""
        self._answered.pop(inode, None)
        self._waiting.pop(inode, None)
        if not any(self._answered.values()) and not any(self._waiting.values()):
            self._end_scan()

    def is_held(self, pid: int, inode: int) -> bool:
        """Whether the process has the socket open now: one look where it had it before, else at all it has."""
        known = self._places.find((pid, inode))
        if known is not None and procfs.is_socket(pid, known, inode):
            return True
        with self._looks.look(pid) as may_be_long:
            place = procfs.find_socket(pid, inode, _DESCRIPTORS if may_be_long else _FEW)
        if place is not None:
            self._places.put((pid, inode), place)
        return place is not None

    def _list_known(self, inode: int) -> list[int]:
        return self._list_held(inode, self._holders)

    def _list_held(self, inode: int, seen: dict[int, dict[int, int]]) -> list[int]:
        holders = seen.get(inode, {})
        for pid, descriptor in holders.items():
            self._places.put((pid, inode), f"fd/{descriptor}")
        return [pid for pid in holders if self.is_held(pid, inode)]

    def _take_answer(self, inode: int) -> bool:
        """Whether the last scan has one more for it."""
        has_one = self._answered[inode] > 0
        self._answered[inode] -= has_one
        return has_one

    def _scan_for(self, inode: int, whose: int, now_s: float) -> bool:
        """Go on with the scan, or begin one. Whether one is over that was begun after it was asked. Raises TooManyWait
        only where it does not go on, so that what waits already finds its turn."""
        if now_s >= self._next_piece_s:
            if not self._is_scanning:
                self._begin(inode)
            self._go_on(now_s)
            return not self._is_scanning and self._take_answer(inode)
        if self._held[whose] >= MOST_WAITING:
            raise TooManyWait
        return False

    def _wait(self, inode: int, whose: int, now_s: float) -> NoReturn:
        self._held[whose] += 1
        if not self._answered[inode]:
            self._waiting[inode] += 1
        raise ScanNotDue(max(0.0, self._next_piece_s - now_s))

    def _begin(self, inode: int) -> None:
        self._answered, self._waiting = self._waiting, Counter()
        self._answered[inode] = max(1, self._answered[inode])
        self._left, self._seen, self._kept, self._is_scanning = procfs.list_processes(), {}, 0, True

    def _go_on(self, began_s: float) -> None:
        ended_s = began_s
        while self._left and ended_s - began_s < PIECE_S:
            pid = self._left[-1]
            for descriptor, held in procfs.list_sockets(pid, _DESCRIPTORS):
                if self._kept < MOST_KEPT or held in self._answered:
                    self._seen.setdefault(held, {})[pid] = descriptor
                    self._kept += 1
            self._left.pop()  # now: one that could not be looked through is looked through again
            ended_s = self._clock()
        if not self._left:
            self._holders = self._seen
            self._end_scan()
        self._next_piece_s = ended_s + _SHARE * min(ended_s - began_s, LONGEST_S)

    def _end_scan(self) -> None:
        self._seen, self._is_scanning = {}, False
        self._held.clear()
