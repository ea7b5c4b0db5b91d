"""Reads what /proc takes from the memory of other processes: arguments and environment (proc(5)).

Whoever reads there waits for the locks of that process, which it may keep for ever, while a page of it comes from a
file system of its own (FUSE), say. So a thread reads, and is given up once it is seen blocked for a while; one that has
no processor yet is waited for. Rules: (1) the user whose process was waited for in vain is not read for a while; others
are. (2) All that was waited for in vain is a fifth of the time at most, (3) and there are so many such threads at most,
since nothing ends them: beyond that nobody is read.
"""

import signal
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from tinysnitch.core.table import BoundedTable

LOOK_S = 0.05  # what is read takes 50 us
BLOCKED_LOOKS = 5  # one after the other, until it is in vain
MAX_LOOKS = 100
PAUSE_S = 10.0
MAX_WAITS = 8  # in vain within the pause
MAX_THREADS = 32

T = TypeVar("T")


def is_blocked(thread: int) -> bool:
    """Whether a thread of ours waits in the kernel for what no signal but SIGKILL interrupts: proc_pid_stat(5)."""
    with open(f"/proc/self/task/{thread}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[0] == b"D"


class MemoryReader:
    """`find_uid` waits for nothing."""

    def __init__(
        self,
        find_uid: Callable[[int], int | None],
        clock: Callable[[], float] = time.monotonic,
        is_blocked: Callable[[int], bool] = is_blocked,
    ) -> None:
        self._find_uid = find_uid
        self._clock = clock
        self._is_blocked = is_blocked
        self._idle: _Reader | None = None
        self._lost: list[_Reader] = []
        self._waits: deque[float] = deque(maxlen=MAX_WAITS)  # when each was over
        self._refused: BoundedTable[int | None, float] = BoundedTable(MAX_WAITS)  # by uid: till when

    def read(self, pid: int, work: Callable[[], T]) -> T | None:
        """What `work` reads of this process; None when it cannot be had now. Raises what OSError that raises."""
        reader = self._take_reader() if self._may_wait(pid) else None
        if reader is None:
            return None
        found: SimpleQueue[T | OSError] = SimpleQueue()
        reader.begin(lambda: found.put(_result_of(work)))
        result = self._wait_for(found, reader)
        if result is None:
            self._lose(reader, pid)
        else:
            self._idle = reader
        if isinstance(result, OSError):
            raise result
        return result

    def _wait_for(self, found: SimpleQueue[T | OSError], reader: "_Reader") -> T | OSError | None:
        blocked = 0
        for _ in range(MAX_LOOKS):
            try:
                return found.get(timeout=LOOK_S)
            except Empty:
                blocked = blocked + 1 if self._is_blocked(reader.thread_id) else 0
            if blocked == BLOCKED_LOOKS:
                break
        return None

    def _may_wait(self, pid: int) -> bool:
        now_s = self._clock()
        if not self._waits or now_s - self._waits[-1] >= PAUSE_S:
            return True
        is_spent = len(self._waits) == MAX_WAITS and now_s - self._waits[0] < PAUSE_S
        return not is_spent and now_s >= (self._refused.find(self._find_uid(pid)) or 0.0)

    def _take_reader(self) -> "_Reader | None":
        reader, self._idle = self._idle, None
        if reader is not None:
            return reader
        self._lost = [lost for lost in self._lost if lost.is_alive()]
        try:
            return _Reader() if len(self._lost) < MAX_THREADS else None
        except RuntimeError:  # there can be no more threads
            return None

    def _lose(self, reader: "_Reader", pid: int) -> None:
        reader.end()
        self._lost.append(reader)
        now_s = self._clock()
        self._waits.append(now_s)
        self._refused.put(self._find_uid(pid), now_s + PAUSE_S)


def _result_of(work: Callable[[], T]) -> T | OSError:
    """What it raises is for who waits, and must not end the thread."""
    try:
        return work()
    except OSError as error:
        return error


class _Reader:
    """A thread. Nobody waits for its end. It takes no signal, which the main thread may not take either by then."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, daemon=True)
        usual = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, usual)

    def begin(self, job: Callable[[], None]) -> None:
        self._jobs.put(job)

    def end(self) -> None:
        """Once it has read what it reads now."""
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
