"""Runs asyncio's loop so that a lack of descriptors or threads ends as an error, and not with a traceback.

Descriptors are checked before the loop is made: else BaseEventLoop.__del__ would close what was never opened, and
Python would print that error, and a warning that the coroutine was never awaited.
"""

import asyncio
import os
from collections.abc import Coroutine
from contextlib import ExitStack, suppress
from typing import TypeVar

_DESCRIPTORS = 3  # that a loop needs: epoll_create(2), socketpair(2)
T = TypeVar("T")


def run_in_loop(work: Coroutine[object, object, T]) -> T:
    """As asyncio.run(). Raises OSError where there are too few descriptors."""
    try:
        _check_descriptors()
    except OSError:
        work.close()
        raise
    runner = asyncio.Runner()
    try:
        return runner.run(work)
    finally:
        with suppress(RuntimeError):  # close() needs a thread; if there is none, let the first error be the one told
            runner.close()


def _check_descriptors() -> None:
    with ExitStack() as opened:
        for _ in range(_DESCRIPTORS):
            opened.callback(os.close, os.open(os.devnull, os.O_RDONLY))
