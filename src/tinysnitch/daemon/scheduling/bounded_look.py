"""Looks up what may lie in a file system that does not answer, and gives up after a while with an OSError."""

import errno
from collections.abc import Callable
from typing import TypeVar

from tinysnitch.kernel.system.bounded_reader import BoundedReader

T = TypeVar("T")


class BoundedLook:
    def __init__(self) -> None:
        self._reader = BoundedReader()

    def do(self, look: Callable[[], T]) -> T:
        """Return what `look` returns (never None), or raise what it raises; TimeoutError when it takes too long."""
        found = self._reader.read_shared(look)
        if found is None:
            raise TimeoutError(errno.ETIMEDOUT, "it does not answer")
        return found
