"""Finds the processes that hold a socket, by an index of all /proc/PID/fd: for sockets of which BPF knows no owner.

Rules: (1) A scan takes a third of the time at most. It is done in pieces, between which other work has its turn: any
user may have processes and descriptors by the thousand. (2) What is asked before the scan is over waits for its end
(ScanNotDue): no answer is guessed. (3) A socket that was asked for before a scan began is answered by that scan, if
only by "nobody": no packet waits for two scans. If one holder is enough, it is returned once it is found; the newest
processes are looked at first, since a socket is mostly handed to a new one. (4) Nobody waits for descriptors of a
process beyond the _DESCRIPTORS lowest. (5) Long looks at single processes take a tenth of the time for each user
(scan_budget.py): beyond that only the lowest descriptors are looked at, and a scan finds the rest. (6) For the sockets
of one user no more than MOST_WAITING packets are held, since a scan may take minutes: else the queue would have no room
for what others send.

`SocketUsers` finds the process that uses a socket for inbound packets: its noted owner, or the one that got it since.
No hook sees a descriptor that is passed on (unix(7), SCM_RIGHTS), nor a process that changes its user. So on a miss one
look at /proc/PID proves the owner, and only when that fails are all processes looked through. A process that is ending
keeps its descriptors until its memory is freed, but takes no packets any more. A socket that is passed on has no holder
until it is received: so one without a holder is looked for again a moment later.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import NoReturn, Protocol

from tinysnitch.core.model.process import share_of
from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.kernel.attribution.scan_budget import ScanBudget
from tinysnitch.kernel.bpf.layout import Owner, ProcessEntry
from tinysnitch.kernel.proc import procfs

PIECE_S = 0.05  # of a scan: most scans are over in one piece
LONGEST_S = 0.25  # a piece, with its last process: if it seems longer, others had the processor meanwhile
_SHARE = 2  # the pause is so many times as long as the last piece
_CAPACITY = 1024
_DESCRIPTORS = 4096  # the lowest of a process: more than servers have; takes 20 ms
_FEW = 256  # of these, when a long look is not allowed; takes 1 ms
MOST_WAITING = 512  # a sixteenth of the queue
MOST_KEPT = 100_000  # pairs of socket and holder: 30 MB; besides those of sockets that were asked for
ON_ITS_WAY_S = 0.02  # how long a socket may take from one process to another; mostly a hundredth of that
_MOST_UNFOUND = 256


class ScanNotDue(Exception):
    """Ask again after `wait_s`; nothing is lost, since the packet is held."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"no scan for {wait_s:.3f} s")
        self.wait_s = wait_s


class TooManyWait(Exception):
    """The packet must not be held, by rule (6): it is dropped, like one that finds the queue full."""


class SocketHolders:
    def __init__(
        self, clock: Callable[[], float] = time.monotonic, look_clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._looks = ScanBudget(look_clock)
        # By inode, the pids of the holders with their descriptors.
        self._holders: dict[int, dict[int, int]] = {}
        self._places: BoundedTable[tuple[int, int], str] = BoundedTable(_CAPACITY)
        self._left: list[int] = []  # pids that the current scan has not come to yet
        self._is_scanning = False
        self._seen: dict[int, dict[int, int]] = {}  # what the current scan has found, like _holders
        self._kept = 0  # pairs in _seen
        self._next_piece_s = 0.0
        # By inode, how many held packets asked for it: since the current scan began, to be answered by the next one
        # (_waiting); and before it began, to be answered by this one (_answered).
        self._waiting: Counter[int] = Counter()
        self._answered: Counter[int] = Counter()
        self._held: Counter[int] = Counter()  # by user: packets held since the last scan ended

    def find_holders(self, inode: int, uid: int, is_enough: Callable[[int], bool] = lambda _pid: False) -> list[int]:
        """Pids that hold the socket, checked just now. `uid`: who made it. Raises ScanNotDue, TooManyWait.

        `is_enough`: whether this pid will do, so that older holders need not be looked for."""
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
        """No scan has to answer for this socket any more. If the current one was for it alone, it is over."""
        self._answered.pop(inode, None)
        self._waiting.pop(inode, None)
        if not any(self._answered.values()) and not any(self._waiting.values()):
            self._end_scan()

    def is_held(self, pid: int, inode: int) -> bool:
        """Whether the process has the socket open now. Looks where it had it before, then at its other descriptors."""
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
        """Whether one more packet that asked for it may take the answer of the last scan."""
        has_one = self._answered[inode] > 0
        self._answered[inode] -= has_one
        return has_one

    def _scan_for(self, inode: int, whose: int, now_s: float) -> bool:
        """Go on with the scan, or begin one. True: one is over that was begun after this was asked. Raises TooManyWait
        only if it is not time to go on, so that packets that wait already find their turn."""
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
            self._left.pop()  # only now: after an error this process is looked at again
            ended_s = self._clock()
        if not self._left:
            self._holders = self._seen
            self._end_scan()
        self._next_piece_s = ended_s + _SHARE * min(ended_s - began_s, LONGEST_S)

    def _end_scan(self) -> None:
        self._seen, self._is_scanning = {}, False
        self._held.clear()


class ProcessTable(Protocol):
    def find_process(self, pid: int) -> ProcessEntry | None: ...


class SocketUsers:
    def __init__(self, table: ProcessTable, clock: Callable[[], float] = time.monotonic) -> None:
        self._table = table
        self._clock = clock
        self._holders = SocketHolders()
        self._unfound_s: BoundedTable[int, float] = BoundedTable(_MOST_UNFOUND)  # by inode: since when it has no holder

    def find_user(self, owner: Owner | None, inode: int, uid: int) -> Owner | None:
        """The owner as it is now, if it runs and holds the socket; else the newest holder, and init only if there is no
        other: it keeps sockets for services. `uid`: who made the socket. Raises ScanNotDue, TooManyWait."""
        if not inode:
            return None
        user = self._find_now(owner, inode, uid)
        if user is not None:
            self._unfound_s.pop(inode)
        else:
            self._wait_for_user(inode)
        return user

    def _wait_for_user(self, inode: int) -> None:
        """Raises ScanNotDue as long as the socket may be on its way to another process."""
        now_s = self._clock()
        since_s = self._unfound_s.find(inode)
        if since_s is None:
            self._unfound_s.put(inode, since_s := now_s)
        if now_s < since_s + ON_ITS_WAY_S:
            raise ScanNotDue(since_s + ON_ITS_WAY_S - now_s)

    def _find_now(self, owner: Owner | None, inode: int, uid: int) -> Owner | None:
        if owner and self._holders.is_held(owner.pid, inode):
            now = owner if self._is_unchanged(owner) else self._read_user(owner.pid)
            if now is not None or not self.is_ending(owner):
                return now
        users = filter(None, map(self._read_user, self._holders.find_holders(inode, uid, self._is_seen)))
        return max(users, key=lambda user: (user.pid != procfs.INIT, user.started_ns), default=None)

    def is_ending(self, owner: Owner) -> bool:
        """Whether BPF saw its last thread end (which Linux 6.18 tells before the memory is freed)."""
        return self._table.find_process(owner.pid) is None and procfs.is_ending(owner.pid)

    def _is_unchanged(self, owner: Owner) -> bool:
        entry = self._table.find_process(owner.pid)
        return entry is not None and (entry.exec_id, procfs.read_uid(owner.pid)) == (owner.exec_id, owner.uid)

    def _is_seen(self, pid: int) -> bool:
        """Whether BPF knows the process, and so has not seen its end."""
        return pid != procfs.INIT and self._table.find_process(pid) is not None

    def _read_user(self, pid: int) -> Owner | None:
        entry, uid = self._table.find_process(pid), procfs.read_uid(pid)
        return Owner(entry.exec_id, entry.started_ns, pid, uid) if entry and uid is not None else None
