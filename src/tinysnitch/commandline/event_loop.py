"""A command's loop: asyncio's own, but one that lacks descriptors or threads ends as an error and not with a traceback.

BaseEventLoop.__del__ closes what was never made: its error is printed, and that the work was never begun.
"""

import asyncio
import os
from collections.abc import Coroutine
from contextlib import ExitStack, suppress
from typing import TypeVar

_DESCRIPTORS = 3  # epoll_create(2), socketpair(2)
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
        with suppress(RuntimeError):  # its end takes a thread; where none is to be had, what went wrong before is said
            runner.close()


def _check_descriptors() -> None:
    with ExitStack() as opened:
        for _ in range(_DESCRIPTORS):
            opened.callback(os.close, os.open(os.devnull, os.O_RDONLY))
