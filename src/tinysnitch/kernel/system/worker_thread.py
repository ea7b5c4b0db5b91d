"""A thread for calls that may never return. Nothing waits for its end, not even the end of the process.

It takes no signals: they are for the main thread, even while that one blocks them.
"""

import signal
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

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
