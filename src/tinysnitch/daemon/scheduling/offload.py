"""Does work beside the loop, in a thread that the daemon's end does not wait for, as it would for those of asyncio.

Looks up what may lie in a file system that does not answer, and gives up after a while with an OSError.

Changes a file in a folder that may not answer: any user can hold the lock of a folder that all read (THREATS.md).

A thread makes the change, and we wait for it a little longer than it waits for the lock of the file. A change that
takes longer goes on in its thread, and until it is done every further change is refused.
"""

import asyncio
import errno
import logging
import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.kernel.system.bounded_reader import BoundedReader, WorkerThread
from tinysnitch.store.locks import PATIENCE_S as LOCK_PATIENCE_S

_log = logging.getLogger(__name__)
T = TypeVar("T")


def do_beside(work: Callable[[], T], done: Callable[[T | None], object]) -> None:
    """Do the work in a thread, then call `done` in the loop with its result, or with None when it failed (logged).

    Raises RuntimeError when there can be no more threads.
    """
    Thread(target=_do, args=(asyncio.get_running_loop(), work, done), daemon=True).start()


def _do(loop: asyncio.AbstractEventLoop, work: Callable[[], T], done: Callable[[T | None], object]) -> None:
    result, failure = None, None
    try:
        result = work()
    except Exception as error:  # `done` must be called all the same
        failure = error
    with suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(_tell, done, result, failure)


def _tell(done: Callable[[T | None], object], result: T | None, failure: Exception | None) -> None:
    if failure:
        _log.error("failed: beside the loop", exc_info=failure)
    done(result)


class BoundedLook:
    def __init__(self) -> None:
        self._reader = BoundedReader()

    def do(self, look: Callable[[], T]) -> T:
        """Return what `look` returns (never None), or raise what it raises; TimeoutError when it takes too long."""
        found = self._reader.read_shared(look)
        if found is None:
            raise TimeoutError(errno.ETIMEDOUT, "it does not answer")
        return found


PATIENCE_S = LOCK_PATIENCE_S + 1.0
LOOK_S = 0.05


class BoundedWriter:
    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._late: WorkerThread | None = None

    def do(self, path: Path, change: Callable[[], T]) -> T:
        """Return what `change` returns, or raise what it raises.

        Raises SnitchError when it takes too long and goes on in its thread, or when an earlier change still does.
        """
        if self._late is not None and self._late.is_alive():
            problem = f"{path}: its folder does not answer, and an earlier change still waits for it"
            raise SnitchError(problem, "try again once it does")
        try:
            worker = WorkerThread()
        except RuntimeError:
            return change()
        results = worker.begin(change)
        worker.end()
        try:
            result = _wait_for(results, self._patience_s)
        except Empty:
            self._late = worker
            raise SnitchError(f"{path}: its folder does not answer", "the change is made as soon as it does") from None
        if isinstance(result, Exception):
            raise result
        return result


def _wait_for(results: SimpleQueue[T], patience_s: float) -> T:
    """Wait in short steps: if the host of a virtual machine takes our processors away, a single long wait would be over
    before the thread had run at all. Raises Empty."""
    for _ in range(math.ceil(patience_s / LOOK_S)):
        with suppress(Empty):
            return results.get(timeout=LOOK_S)
    raise Empty
