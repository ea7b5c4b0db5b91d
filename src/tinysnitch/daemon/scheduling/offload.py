"""Does work beside the loop, in a thread that the daemon's end does not wait for, as it would for those of asyncio."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import TypeVar

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
