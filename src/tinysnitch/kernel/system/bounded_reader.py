"""Reads what any user can block: the memory of their processes, by way of /proc, and files in their folders.

To read the arguments or the environment of a process (proc(5)) takes a lock of that process, and to look up a file
takes the locks of its folders. Any user can hold these locks for ever, by writing to memory that comes from a file
system of their own (FUSE) which does not answer. So a thread does the reading, and is abandoned once it was seen for a
while to do nothing but wait. A thread that has no processor yet, or waits for the interpreter, gets longer. Rules:

(1) After a wait in vain, nothing is read for that user for forty times as long; others are still served. (2) Waits in
vain take no more than a fifth of the time, unless it is a single wait. (3) No more than MAX_THREADS threads may be
abandoned, since nothing ends them: beyond that, nothing is read. (4) No user but root has more than a quarter of these,
since one user could take all within minutes and keep them. All users of containers count as one, since anybody may have
any number of them (subuid(5)).

A thread for calls that may never return. Nothing waits for its end, not even the end of the process.

It takes no signals: they are for the main thread, even while that one blocks them.
"""

import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from tinysnitch.core.model.process import share_of
from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.kernel.system.proc_place import PROC

T = TypeVar("T")


class WorkerThread:
    """Raises RuntimeError where there can be no more threads."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, daemon=True)
        usual = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, usual)

    def begin(self, work: Callable[[], T]) -> SimpleQueue[T | Exception]:
        """Have it done after all that was begun before. The queue gets what `work` returns or raises."""
        results: SimpleQueue[T | Exception] = SimpleQueue()
        self._jobs.put(lambda: results.put(_result_of(work)))
        return results

    def end(self) -> None:
        """End the thread once it has done what was begun."""
        self._jobs.put(None)

    @property
    def thread_id(self) -> int:
        assert self._thread.native_id is not None
        return self._thread.native_id

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _result_of(work: Callable[[], T]) -> T | Exception:
    """An exception is for who waits for the result, and must not end the thread."""
    try:
        return work()
    except Exception as error:
        return error


LOOK_S = 0.05  # between two looks at the thread; a read takes 50 us
BLOCKED_LOOKS = 5  # so many in a row find it waiting: then it is abandoned
MAX_LOOKS = 100  # then it is abandoned, whatever it does
BUSY_WAITS = 8  # between two looks; waiting for the interpreter begins anew each 5 ms (sys.setswitchinterval())
PAUSE_S = 10.0  # of reading for a user, for each BLOCKED_LOOKS waited
MAX_WAITS = 8  # in vain, of all users, within PAUSE_S
MAX_REFUSED = 256  # users remembered
MAX_THREADS = 32
MAX_THREADS_OF_ONE = MAX_THREADS // 4
_ROOT = 0  # uid


def count_waits(thread: int) -> int | None:
    """How many waits a thread of ours has begun that a signal may interrupt: proc_pid_status(5). 0 while it is in a
    wait that only SIGKILL ends, None while it does not wait."""
    with open(f"{PROC}/self/task/{thread}/status", "rb") as file:
        fields = dict(line.split(b":", 1) for line in file)
    state = fields[b"State"].split()[0]
    return int(fields[b"voluntary_ctxt_switches"]) if state == b"S" else 0 if state == b"D" else None


class BoundedReader:
    """`find_uid` tells the user of a process, without waiting; only `read` needs it."""

    def __init__(
        self,
        find_uid: Callable[[int], int | None] = lambda _pid: None,
        clock: Callable[[], float] = time.monotonic,
        count_waits: Callable[[int], int | None] = count_waits,
    ) -> None:
        self._find_uid = find_uid
        self._clock = clock
        self._count_waits = count_waits
        self._idle: deque[WorkerThread] = deque()  # as many as reads were made at once, by several threads of ours
        self._lost: list[tuple[WorkerThread, object]] = []  # abandoned, with whose share each takes
        self._waits: deque[float] = deque(maxlen=MAX_WAITS)  # in vain: when each was over
        self._refused: BoundedTable[object, float] = BoundedTable(MAX_REFUSED)  # by uid: until when nothing is read
        self._refused_until_s = 0.0  # the latest of these

    def read(self, pid: int, work: Callable[[], T]) -> T | None:
        """What `work` returns, which reads something of this process. None: not to be had now. Raises as `work`."""
        return self._read(lambda: self._find_uid(pid), work)

    def read_of(self, uid: int, work: Callable[[], T], find_progress: Callable[[], int] = lambda: 0) -> T | None:
        """The same on behalf of a user, whose process may have ended. `work` does more than wait when `find_progress`
        returns something else at each look."""
        return self._read(lambda: uid, work, find_progress)

    def read_shared(self, work: Callable[[], T]) -> T | None:
        """The same on behalf of no user: a wait in vain delays no other reads, except by rules (2) and (3)."""
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
            self._idle.append(reader)
        if isinstance(result, Exception):
            try:
                raise result
            finally:
                del result  # its traceback refers to this frame: a cycle that would keep all frames of the callers
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
        """Rules (1) and (2)."""
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
        with suppress(IndexError):
            return self._idle.pop()
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
