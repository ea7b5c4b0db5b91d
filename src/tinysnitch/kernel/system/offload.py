"""Work that may block, done by a pool of threads: a limit for each wait, and a quota for each user.

`read` waits for what any user can block: the memory of their processes, by way of /proc, and files in their folders.
To read the arguments or the environment of a process (proc(5)) takes a lock of that process, and to look up a file
takes the locks of its folders. Any user can hold these locks for ever, by writing to memory that comes from a file
system of their own (FUSE) which does not answer. So a thread does the reading, and is abandoned once it was seen for a
while to do nothing but wait. A thread that has no processor yet, or waits for the interpreter, gets longer. Rules:

(1) After a wait in vain, nothing is read for that user for forty times as long; others are still served. (2) Waits in
vain take no more than a fifth of the time, unless it is a single wait. (3) No more than MAX_THREADS threads may be
abandoned, since nothing ends them: beyond that, nothing is read. (4) No user but root has more than a quarter of these,
since one user could take all within minutes and keep them. All users of containers count as one, since anybody may have
any number of them (subuid(5)).

`finish` waits for work however little it does, up to a limit. `begin` does not wait: its result comes to the loop.
Work that nobody waits for goes on in its thread, and counts as abandoned by rules (3) and (4) until it is over.

Nothing waits for the end of a thread, not even the end of the process. Threads take no signals: they are for the main
thread, even while that one blocks them.
"""

import asyncio
import errno
import logging
import math
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from tinysnitch.core.model.process import share_of
from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.kernel.system.proc_place import PROC

LOOK_S = 0.05  # between two looks at the thread; a read takes 50 us
BLOCKED_LOOKS = 5  # so many in a row find it waiting: then it is abandoned
MAX_LOOKS = 100  # then it is abandoned, whatever it does
BUSY_WAITS = 8  # between two looks; waiting for the interpreter begins anew each 5 ms (sys.setswitchinterval())
PAUSE_S = 10.0  # of reading for a user, for each BLOCKED_LOOKS waited
MAX_WAITS = 8  # in vain, of all users, within PAUSE_S
MAX_REFUSED = 256  # users remembered
MAX_THREADS = 32
_ROOT = 0  # uid

T = TypeVar("T")
FindUid = Callable[[], object]

_log = logging.getLogger(__name__)


def count_waits(thread: int) -> int | None:
    """How many waits a thread of ours has begun that a signal may interrupt: proc_pid_status(5). 0 while it is in a
    wait that only SIGKILL ends, None while it does not wait."""
    with open(f"{PROC}/self/task/{thread}/status", "rb") as file:
        fields = dict(line.split(b":", 1) for line in file)
    state = fields[b"State"].split()[0]
    return int(fields[b"voluntary_ctxt_switches"]) if state == b"S" else 0 if state == b"D" else None


class NoThread(Exception):
    """There can be no more threads now."""


class Busy(NoThread):
    """As many are abandoned as may be, of all users or of this one."""


class Late(Exception):
    """The work takes longer, and goes on."""


class Offload:
    """`find_uid` tells the user of a process, without waiting; only `read` needs it."""

    def __init__(
        self,
        find_uid: Callable[[int], int | None] = lambda _pid: None,
        *,
        max_threads: int = MAX_THREADS,
        clock: Callable[[], float] = time.monotonic,
        count_waits: Callable[[int], int | None] = count_waits,
    ) -> None:
        self._find_uid = find_uid
        self._max_threads = max_threads
        self._clock = clock
        self._count_waits = count_waits
        self._idle: deque[_Worker] = deque()  # as many as reads were made at once, by several threads of ours
        self._left: list[tuple[_Worker, object]] = []  # abandoned, with whose share each takes
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

    def look(self, work: Callable[[], T]) -> T:
        """As `read_shared`, of what is not None. Raises TimeoutError when it is not to be had now."""
        found = self.read_shared(work)
        if found is None:
            raise TimeoutError(errno.ETIMEDOUT, "it does not answer")
        return found

    def finish(self, work: Callable[[], T], limit_s: float) -> T:
        """What `work` returns or raises. Raises Late when it takes longer, and NoThread.

        The wait is in short steps: if the host of a virtual machine takes our processors away, a single long one would
        be over before the thread had run at all.
        """
        worker = self._take(lambda: _ROOT)
        found = worker.begin(work)
        for _ in range(math.ceil(limit_s / LOOK_S)):
            with suppress(Empty):
                result = found.get(timeout=LOOK_S)
                break
        else:
            self._leave(worker, _ROOT)
            raise Late
        try:
            return self._take_back(worker, result)
        finally:
            del result  # as in _read

    def begin(self, work: Callable[[], T], done: Callable[[T | None], object], uid: int = _ROOT) -> None:
        """Do it on behalf of a user, however long it takes, then call `done` in the running loop with the result, or
        with None when it failed (logged). Raises NoThread."""
        worker = self._take(lambda: uid)
        worker.begin(work, partial(_deliver, asyncio.get_running_loop(), done))
        self._leave(worker, uid)

    def _read(self, find_uid: FindUid, work: Callable[[], T], find_progress: Callable[[], int] = lambda: 0) -> T | None:
        if not self._may_wait(find_uid):
            return None
        try:
            worker = self._take(find_uid)
        except NoThread:
            return None
        began_s = self._clock()
        try:
            result = self._wait_for(worker.begin(work), worker, find_progress)
        except OSError:  # too few descriptors to look at the thread
            self._abandon(worker, find_uid)
            raise
        if result is None:
            self._refuse(self._abandon(worker, find_uid), began_s)
            return None
        try:
            return self._take_back(worker, result)
        finally:
            del result  # the traceback of an exception refers to this frame: a cycle that would keep its callers'

    def _wait_for(
        self, found: SimpleQueue[T | Exception], worker: "_Worker", find_progress: Callable[[], int]
    ) -> T | Exception | None:
        waits, blocked, progress = 0, 0, find_progress()
        for looks in range(1, MAX_LOOKS + 1):
            try:
                return found.get(timeout=LOOK_S)
            except Empty:
                before, now = waits, self._count_waits(worker.native_id or 0)
            is_waiting = now is not None and (looks == 1 or now - before < BUSY_WAITS)
            is_waiting &= progress == (progress := find_progress())
            waits, blocked = now or 0, blocked + 1 if is_waiting else 0
            if blocked == BLOCKED_LOOKS:
                break
        return None

    def _may_wait(self, find_uid: FindUid) -> bool:
        """Rules (1) and (2)."""
        now_s = self._clock()
        if now_s >= self._refused_until_s:
            return True
        is_spent = len(self._waits) == MAX_WAITS and now_s - self._waits[0] < PAUSE_S
        return not is_spent and now_s >= (self._refused.find(find_uid()) or 0.0)

    def _take(self, find_uid: FindUid) -> "_Worker":
        """An idle thread, or a new one. Raises NoThread: Busy by rules (3) and (4)."""
        of_one = self._max_threads // 4
        if len(self._left) >= of_one:
            self._left = [(worker, share) for worker, share in self._left if worker.is_busy]
            share = _share_of(find_uid())
            is_quota_used = share != _ROOT and sum(share == other for _, other in self._left) >= of_one
            if is_quota_used or len(self._left) >= self._max_threads:
                raise Busy
        with suppress(IndexError):
            return self._idle.pop()
        try:
            return _Worker()
        except RuntimeError:
            raise NoThread from None

    def _take_back(self, worker: "_Worker", result: T | Exception) -> T:
        self._idle.append(worker)
        if isinstance(result, Exception):
            try:
                raise result
            finally:
                del result  # as in _read
        return result

    def _abandon(self, worker: "_Worker", find_uid: FindUid) -> object:
        """Leave the thread alone with its work. Returns the uid."""
        try:
            uid = find_uid()
        except OSError:  # too few descriptors to read it
            uid = None
        self._leave(worker, uid)
        return uid

    def _leave(self, worker: "_Worker", uid: object) -> None:
        worker.end()
        self._left.append((worker, _share_of(uid)))

    def _refuse(self, uid: object, began_s: float) -> None:
        """Rule (1), after a wait in vain."""
        now_s = self._clock()
        count = max(1, round((now_s - began_s) / (LOOK_S * BLOCKED_LOOKS)))  # of the shortest waits
        self._waits.extend([now_s] * min(count, MAX_WAITS))
        until_s = now_s + count * PAUSE_S
        self._refused.put(uid, until_s)
        self._refused_until_s = max(self._refused_until_s, until_s)


class _Worker(Thread):
    """Raises RuntimeError where there can be no more threads."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.is_busy = False
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        usual = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, usual)

    def begin(
        self, work: Callable[[], T], deliver: Callable[[T | Exception], None] | None = None
    ) -> SimpleQueue[T | Exception]:
        """The queue, or `deliver` in the thread, gets what `work` returns or raises."""
        results: SimpleQueue[T | Exception] = SimpleQueue()
        self.is_busy = True
        self._jobs.put(partial(self._do, work, deliver or results.put))
        return results

    def end(self) -> None:
        """End the thread once it has done what was begun."""
        self._jobs.put(None)

    def run(self) -> None:
        for job in iter(self._jobs.get, None):
            job()

    def _do(self, work: Callable[[], T], deliver: Callable[[T | Exception], None]) -> None:
        deliver(self._result_of(work))  # in no variable, as in _read

    def _result_of(self, work: Callable[[], T]) -> T | Exception:
        """An exception is for who waits for the result, and must not end the thread."""
        try:
            return work()
        except Exception as error:
            return error
        finally:
            self.is_busy = False


def _deliver(loop: asyncio.AbstractEventLoop, done: Callable[[T | None], object], result: T | Exception) -> None:
    with suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(_tell, done, result)


def _tell(done: Callable[[T | None], object], result: T | Exception) -> None:
    if isinstance(result, Exception):
        _log.error("failed: beside the loop", exc_info=result)
        done(None)
    else:
        done(result)


def _share_of(whose: object) -> object:
    return share_of(whose) if isinstance(whose, int) else whose
