"""Watches the paths in rules on disk: a link on the way that is changed changes what the rules mean."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import aclosing
from functools import partial

from tinysnitch.store.file_watch import Look, look_here, watch_ways

PAUSE_S = 1.0  # users may change links of their own as fast as they like
Watch = Callable[[], AsyncIterator[None]]


class PathWatch:
    def __init__(self, follow: Callable[[Watch], Coroutine[None, None, None]], look: Look = look_here) -> None:
        """`follow` calls the reader at each item of a watch, until it is cancelled."""
        self._follow = follow
        self._look = look
        self._paths: list[str] = []
        self._task: asyncio.Task[None] | None = None

    def follow(self, paths: list[str]) -> None:
        """Watch these paths and no others from now on. The reader that the watch calls may call this."""
        if paths == self._paths:
            return
        self.stop()
        self._paths = paths
        if paths:
            watch = partial(_watch_slowly, paths, self._look)
            self._task = asyncio.create_task(self._follow(watch))

    def stop(self) -> None:
        if self._task:
            self._task.cancel()
        self._task = None


async def _watch_slowly(paths: Iterable[str], look: Look) -> AsyncIterator[None]:
    """One item once the watch stands, and one at the first change. After a pause the watch begins anew, and its first
    item stands for all changes of the meantime."""
    while True:
        async with aclosing(watch_ways(paths, look)) as items:
            await anext(items)
            yield
            await anext(items)
            yield
        await asyncio.sleep(PAUSE_S)
