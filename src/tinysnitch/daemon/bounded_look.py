"""Looks where others can keep us waiting; a place that does not answer is an error like any other of its kind."""

import errno
from collections.abc import Callable
from typing import TypeVar

from tinysnitch.kernel.bounded_reader import BoundedReader

T = TypeVar("T")


class BoundedLook:
    def __init__(self) -> None:
        self._reader = BoundedReader()

    def do(self, look: Callable[[], T]) -> T:
        """What `look` finds, which is never None, or raises. TimeoutError, which is an OSError: nothing in time."""
        found = self._reader.read_shared(look)
        if found is None:
            raise TimeoutError(errno.ETIMEDOUT, "it does not answer")
        return found
