"""Tells when the Python that runs the daemon is gone, as after an upgrade of the distribution.

The running daemon works on, but it could not start again: the next boot would have no firewall, unless
packaging/tinysnitch-closed closes it.
"""

import asyncio
import os
from collections.abc import Callable
from functools import partial

from tinysnitch.daemon.scheduling.follow import follow
from tinysnitch.store.file_watch import watch_ways

GONE = "the Python that tinysnitchd runs by is gone: it could not start again"
HINT = "run `make install` and restart tinysnitchd before the next boot, which has no firewall otherwise"


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
