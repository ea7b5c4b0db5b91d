"""Changes a file in a folder that may not answer: any user can hold the lock of a folder that all read (THREATS.md).

We wait for the change a little longer than it waits for the lock of the file. A change that takes longer goes on in its
thread, and until it is done every further change is refused.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.kernel.system.offload import Busy, Late, NoThread, Offload
from tinysnitch.store.locks import PATIENCE_S as LOCK_PATIENCE_S

PATIENCE_S = LOCK_PATIENCE_S + 1.0
T = TypeVar("T")


class BoundedWriter:
    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._offload = Offload(max_threads=1)

    def do(self, path: Path, change: Callable[[], T]) -> T:
        """Return what `change` returns, or raise what it raises.

        Raises SnitchError when it takes too long and goes on in its thread, or when an earlier change still does.
        """
        try:
            return self._offload.finish(change, self._patience_s)
        except Busy:
            problem = f"{path}: its folder does not answer, and an earlier change still waits for it"
            raise SnitchError(problem, "try again once it does") from None
        except Late:
            raise SnitchError(f"{path}: its folder does not answer", "the change is made as soon as it does") from None
        except NoThread:
            return change()
