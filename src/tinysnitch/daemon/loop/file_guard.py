"""Watches two files that the daemon needs, and that others may take away.

`InterpreterWatch`: the Python that runs the daemon, as after an upgrade of the distribution. The running daemon works
on, but it could not start again: the next boot would have no firewall, unless packaging/tinysnitch-closed closes it.
`SocketWatch`: the control socket, which is made anew. Without it no command would reach the daemon until a restart.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.daemon.scheduling.follow import follow
from tinysnitch.kernel.system.offload import Offload
from tinysnitch.store.file_watch import watch_ways

GONE = "the Python that tinysnitchd runs by is gone: it could not start again"
HINT = "install it anew and restart tinysnitchd before the next boot, which has no firewall otherwise"
AGAIN_S = 5.0  # how soon we try again when the socket cannot be made or watched

_log = logging.getLogger(__name__)


class InterpreterWatch:
    def __init__(self, executable: str, tell: Callable[[], object]) -> None:
        """`executable`: the Python that the daemon was started with, maybe a link. `tell` is called when it is gone."""
        self._executable = executable
        self._file = os.path.realpath(executable)
        self._tell = tell
        self._task: asyncio.Task[None] | None = None
        self.is_gone = False

    def start(self) -> None:
        watch = partial(watch_ways, [self._executable])
        self._task = asyncio.create_task(follow(watch, self._look))

    def stop(self) -> None:
        if self._task:
            self._task.cancel()

    def _look(self) -> None:
        """See whether the path still leads to the same place. Another build there is fine: within one minor version of
        Python the installed packages go on working."""
        was_gone = self.is_gone
        self.is_gone = os.path.realpath(self._executable) != self._file or not os.path.exists(self._file)
        if self.is_gone and not was_gone:
            self._tell()


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
        watch = partial(watch_ways, [str(self._path)], Offload().look)
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
