"""Follows a file or a folder: reads it at each change, and goes on whatever fails."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

WATCH_AGAIN_S = 5.0
LONGEST_PAUSE_S = 2.0  # whatever took longer, the processor was somebody else's

_log = logging.getLogger(__name__)


async def follow(watch: Callable[[], AsyncIterator[None]], read: Callable[[], None]) -> None:
    """Read now and at each item of the watch. Where it cannot be watched (inotify(7): limits), now and then.

    A file that never rests is read half of the time at most: many rules take a second, and verdicts wait meanwhile.
    """
    while True:
        try:
            with suppress(OSError):
                async for _ in watch():
                    await asyncio.sleep(min(_time_of(read), LONGEST_PAUSE_S))
            read()
        except Exception:  # to end here would mean to follow nothing any more, and to say nothing
            _log.exception("failed, and is tried again: following a file")
        await asyncio.sleep(WATCH_AGAIN_S)


def _time_of(work: Callable[[], None]) -> float:
    """Seconds."""
    begun_s = time.monotonic()
    work()
    return time.monotonic() - begun_s
