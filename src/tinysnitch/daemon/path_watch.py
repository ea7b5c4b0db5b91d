"""Follows the paths in rules on the disk: whoever turns a link on the way changes what the rules mean."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import aclosing
from functools import partial

from tinysnitch.store.file_watch import Look, look_here, watch_ways

MAX_WATCHED = 256  # paths; whatever lies beyond is looked up whenever something else changes
PAUSE_S = 1.0  # users may turn links of their own as fast as they like
Watch = Callable[[], AsyncIterator[None]]


class PathWatch:
    def __init__(self, follow: Callable[[Watch], Coroutine[None, None, None]], look: Look = look_here) -> None:
        """`follow` goes on until it is cancelled."""
        self._follow = follow
        self._look = look
        self._paths: frozenset[str] = frozenset()
        self._task: asyncio.Task[None] | None = None

    def follow(self, paths: frozenset[str]) -> None:
        """These from now on, and no others. May be called by what the watch has called."""
        if paths == self._paths:
            return
        self.stop()
        self._paths = paths
        if paths:
            watch = partial(_watch_slowly, sorted(paths)[:MAX_WATCHED], self._look)
            self._task = asyncio.create_task(self._follow(watch))

    def stop(self) -> None:
        if self._task:
            self._task.cancel()
        self._task = None


async def _watch_slowly(paths: Iterable[str], look: Look) -> AsyncIterator[None]:
    """One item as soon as the watch stands, one at once when something is turned, one a moment later for all else."""
    while True:
        async with aclosing(watch_ways(paths, look)) as items:
            await anext(items)
            yield
            await anext(items)
            yield
        await asyncio.sleep(PAUSE_S)
