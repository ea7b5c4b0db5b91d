"""Follows a file or a folder: reads it at each change, and goes on after any failure."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

WATCH_AGAIN_S = 5.0  # how soon we watch again after a failure
LONGEST_PAUSE_S = 2.0  # no reading takes longer, unless other processes had the processor

_log = logging.getLogger(__name__)


async def follow(watch: Callable[[], AsyncIterator[None]], read: Callable[[], None]) -> None:
    """Read now and at each item of the watch. Where watching fails (inotify(7): limits) read each WATCH_AGAIN_S.

    After each reading we pause for as long as it took: verdicts wait while many rules are read, and a file that changes
    all the time must not take more than half of our time.
    """
    while True:
        try:
            with suppress(OSError):
                async for _ in watch():
                    await asyncio.sleep(min(_time_of(read), LONGEST_PAUSE_S))
            read()
        except Exception:  # if this task ended, later changes would go unnoticed
            _log.exception("failed, and is tried again: following a file")
        await asyncio.sleep(WATCH_AGAIN_S)


def _time_of(work: Callable[[], None]) -> float:
    """Do the work; how many seconds it took."""
    begun_s = time.monotonic()
    work()
    return time.monotonic() - begun_s
