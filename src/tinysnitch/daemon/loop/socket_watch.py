"""Has the control socket made anew when its file is removed: no command would reach the daemon until a restart."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.daemon.scheduling.bounded_look import BoundedLook
from tinysnitch.store.file_watch import watch_ways

AGAIN_S = 5.0  # how soon we try again when the socket cannot be made or watched

_log = logging.getLogger(__name__)


class SocketWatch:
    def __init__(self, path: Path, make_anew: Callable[[], Awaitable[None]]) -> None:
        """`make_anew` may raise SnitchError."""
        self._path = path
        self._make_anew = make_anew
        self._task: asyncio.Task[None] | None = None
        self._problem = ""  # as told

    def start(self) -> None:
        self._task = asyncio.create_task(self._follow())

    def stop(self) -> None:
        if self._task:
            self._task.cancel()

    async def _follow(self) -> None:
        watch = partial(watch_ways, [str(self._path)], BoundedLook().do)
        while True:
            try:
                with suppress(OSError):
                    async for _ in watch():
                        await self._look()
                await self._look()
            except SnitchError as error:
                self._tell(error)
            await asyncio.sleep(AGAIN_S)

    async def _look(self) -> None:
        """Make the socket anew if nothing is at its path. What others put there is left alone."""
        if self._is_gone():
            await self._make_anew()
            self._problem = ""
            _log.warning("%s was taken away: made anew", self._path)

    def _is_gone(self) -> bool:
        return not os.path.lexists(self._path)

    def _tell(self, error: SnitchError) -> None:
        if str(error) != self._problem:
            self._problem = str(error)
            _log.warning("%s was taken away, so no command reaches this daemon: %s", self._path, error)
