"""Changes a file where others can keep us waiting: anyone keeps the lock of a folder that all may read (THREATS.md).

A thread makes the change, and is waited for a little longer than it itself waits for the lock of the file.
A change that takes longer goes on beside the loop; until it is over there is no other one.
"""

import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TypeVar

from tinysnitch.core.errors import SnitchError
from tinysnitch.kernel.worker_thread import WorkerThread
from tinysnitch.store.file_lock import PATIENCE_S as LOCK_PATIENCE_S

PATIENCE_S = LOCK_PATIENCE_S + 1.0
LOOK_S = 0.05
T = TypeVar("T")


class BoundedWriter:
    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._late: WorkerThread | None = None

    def do(self, path: Path, change: Callable[[], T]) -> T:
        """What `change` returns or raises. Raises SnitchError where it goes on beside us, or an earlier one does."""
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
    """Look by look: of a single wait that the host had our processors for, the thread would have had nothing. Raises
    Empty."""
    for _ in range(math.ceil(patience_s / LOOK_S)):
        with suppress(Empty):
            return results.get(timeout=LOOK_S)
    raise Empty
