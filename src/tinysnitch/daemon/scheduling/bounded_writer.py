"""Changes a file in a folder that may not answer: any user can hold the lock of a folder that all read (THREATS.md).

A thread makes the change, and we wait for it a little longer than it waits for the lock of the file. A change that
takes longer goes on in its thread, and until it is done every further change is refused.
"""

import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TypeVar

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.kernel.system.worker_thread import WorkerThread
from tinysnitch.store.locks import PATIENCE_S as LOCK_PATIENCE_S

PATIENCE_S = LOCK_PATIENCE_S + 1.0
LOOK_S = 0.05
T = TypeVar("T")


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
