"""Reads what others can keep us waiting for: what /proc takes from the memory of their processes, and their files.

Whoever reads the arguments or the environment of a process (proc(5)) waits for its locks, and whoever looks up a file
for those of its folder. Anyone can keep these for ever, by writing to memory that comes from a file system of their own
(FUSE) which does not answer. So a thread reads, and is given up once it is seen to do nothing but wait for a while; one
that has no processor yet, or not the interpreter, is waited for longer. Rules: (1) the user whose process was waited
for in vain is not read for forty times as long; others are. (2) All that was waited for in vain is a fifth of the time,
or a single wait, (3) and there are so many such threads at most, since nothing ends them: beyond that nobody is read.
(4) No user but root has more than a quarter of these, who could take all in minutes and keep them; nor have those of
containers together, of whom anybody may have any number (subuid(5)).
"""

import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

from tinysnitch.core.table import BoundedTable
from tinysnitch.core.user_share import share_of
from tinysnitch.kernel.worker_thread import WorkerThread

LOOK_S = 0.05  # what is read takes 50 us
BLOCKED_LOOKS = 5  # one after the other that find it waiting, until it is in vain
MAX_LOOKS = 100
BUSY_WAITS = 8  # between two looks: whoever waits for the interpreter begins anew each 5 ms (sys.setswitchinterval())
PAUSE_S = 10.0  # for each wait of BLOCKED_LOOKS
MAX_WAITS = 8  # in vain within the pause
MAX_REFUSED = 256  # users
MAX_THREADS = 32
MAX_THREADS_OF_ONE = MAX_THREADS // 4
_ROOT = 0  # uid

T = TypeVar("T")


def count_waits(thread: int) -> int | None:
    """How often a thread of ours has begun to wait for what a signal may interrupt; 0 while it waits for what none but
    SIGKILL does, None while it does not wait: proc_pid_status(5)."""
    with open(f"/proc/self/task/{thread}/status", "rb") as file:
        fields = dict(line.split(b":", 1) for line in file)
    state = fields[b"State"].split()[0]
    return int(fields[b"voluntary_ctxt_switches"]) if state == b"S" else 0 if state == b"D" else None


class BoundedReader:
    """`find_uid` waits for nothing; whoever does not call `read` needs none."""

    def __init__(
        self,
        find_uid: Callable[[int], int | None] = lambda _pid: None,
        clock: Callable[[], float] = time.monotonic,
        count_waits: Callable[[int], int | None] = count_waits,
    ) -> None:
        self._find_uid = find_uid
        self._clock = clock
        self._count_waits = count_waits
        self._idle: WorkerThread | None = None
        self._lost: list[tuple[WorkerThread, object]] = []  # with whose share of them it takes
        self._waits: deque[float] = deque(maxlen=MAX_WAITS)  # when each was over
        self._refused: BoundedTable[object, float] = BoundedTable(MAX_REFUSED)  # by uid: until when
        self._refused_until_s = 0.0  # the last of them

    def read(self, pid: int, work: Callable[[], T]) -> T | None:
        """What `work` reads of this process; None when it cannot be had now. Raises what that raises."""
        return self._read(lambda: self._find_uid(pid), work)

    def read_of(self, uid: int, work: Callable[[], T], find_progress: Callable[[], int] = lambda: 0) -> T | None:
        """Likewise of this user, whose process may have ended. Where what `find_progress` tells has changed between two
        looks, it does more than wait."""
        return self._read(lambda: uid, work, find_progress)

    def read_shared(self, work: Callable[[], T]) -> T | None:
        """Likewise of no user: what waits keeps nothing else from being read, short of (2) and (3)."""
        nobody = object()
        return self._read(lambda: nobody, work)

    def _read(
        self, find_uid: Callable[[], object], work: Callable[[], T], find_progress: Callable[[], int] = lambda: 0
    ) -> T | None:
        reader = self._take_reader() if self._may_wait(find_uid) and self._may_lose(find_uid) else None
        if reader is None:
            return None
        began_s = self._clock()
        try:
            result = self._wait_for(reader.begin(work), reader, find_progress)
        except OSError:  # too few descriptors to look at the thread
            self._abandon(reader, find_uid)
            raise
        if result is None:
            self._refuse(self._abandon(reader, find_uid), began_s)
        else:
            self._idle = reader
        if isinstance(result, Exception):
            try:
                raise result
            finally:
                del result  # its traceback has this frame: they would hold each other, and all frames that wait
        return result

    def _wait_for(
        self, found: SimpleQueue[T | Exception], reader: WorkerThread, find_progress: Callable[[], int]
    ) -> T | Exception | None:
        waits, blocked, progress = 0, 0, find_progress()
        for looks in range(1, MAX_LOOKS + 1):
            try:
                return found.get(timeout=LOOK_S)
            except Empty:
                before, now = waits, self._count_waits(reader.thread_id)
            is_waiting = now is not None and (looks == 1 or now - before < BUSY_WAITS)
            is_waiting &= progress == (progress := find_progress())
            waits, blocked = now or 0, blocked + 1 if is_waiting else 0
            if blocked == BLOCKED_LOOKS:
                break
        return None

    def _may_wait(self, find_uid: Callable[[], object]) -> bool:
        now_s = self._clock()
        if now_s >= self._refused_until_s:
            return True
        is_spent = len(self._waits) == MAX_WAITS and now_s - self._waits[0] < PAUSE_S
        return not is_spent and now_s >= (self._refused.find(find_uid()) or 0.0)

    def _may_lose(self, find_uid: Callable[[], object]) -> bool:
        """Rule (4)."""
        if len(self._lost) < MAX_THREADS_OF_ONE:
            return True
        self._lost = [(lost, share) for lost, share in self._lost if lost.is_alive()]
        whose = _share_of(find_uid())
        return whose == _ROOT or sum(share == whose for _, share in self._lost) < MAX_THREADS_OF_ONE

    def _take_reader(self) -> WorkerThread | None:
        reader, self._idle = self._idle, None
        if reader is not None:
            return reader
        try:
            return WorkerThread() if len(self._lost) < MAX_THREADS else None
        except RuntimeError:  # there can be no more threads
            return None

    def _abandon(self, reader: WorkerThread, find_uid: Callable[[], object]) -> object:
        """Count the thread among the lost ones; it ends when what it waits for is over. Returns the uid."""
        reader.end()
        try:
            uid = find_uid()
        except OSError:  # too few descriptors to read it
            uid = None
        self._lost.append((reader, _share_of(uid)))
        return uid

    def _refuse(self, uid: object, began_s: float) -> None:
        """Rule (1), after a wait in vain."""
        now_s = self._clock()
        count = max(1, round((now_s - began_s) / (LOOK_S * BLOCKED_LOOKS)))  # of the shortest waits
        self._waits.extend([now_s] * min(count, MAX_WAITS))
        until_s = now_s + count * PAUSE_S
        self._refused.put(uid, until_s)
        self._refused_until_s = max(self._refused_until_s, until_s)


def _share_of(whose: object) -> object:
    return share_of(whose) if isinstance(whose, int) else whose
