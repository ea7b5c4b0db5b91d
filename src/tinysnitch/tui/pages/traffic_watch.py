"""Looks at the daemon's traffic while the live page is in sight: no longer, as looking costs the daemon a second's work
each second."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from tinysnitch.client.traffic_client import TrafficClient
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.tui.daemon_link import Link
from tinysnitch.view.live.seen import TrafficSeen

TICK_S = 1.0  # between two drawings: rates fall although nothing comes


class TrafficWatch:
    def __init__(self, path: str, see: Callable[[TrafficSeen], None], draw_soon: Callable[[], None]) -> None:
        self._path = path
        self._see = see
        self._draw_soon = draw_soon
        self._task: asyncio.Task[None] | None = None

    def watch(self, *, is_on: bool) -> None:
        """Look from now on, or look no more."""
        if not is_on and self._task:
            self._task.cancel()
            self._task = None
        elif is_on and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        link = Link(self._path, self._see, TrafficClient(self._path))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(link))
            group.create_task(self._tick())

    async def _follow(self, link: Link[TrafficSeen]) -> None:
        with suppress(SnitchError):  # the prompt's own connection ends the same way, and tells why
            await link.run()

    async def _tick(self) -> None:
        while True:
            self._draw_soon()
            await asyncio.sleep(TICK_S)
