"""Waits for the end of processes that rules are bound to, without polling: one pidfd a process, a bounded number."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress

from tinysnitch.core.model.process import ProcessKey
from tinysnitch.kernel.proc.pidfd import open_pidfd

MAX_WATCHED = 1024


class ProcessWatch:
    def __init__(self, on_exit: Callable[[ProcessKey], None]) -> None:
        self._on_exit = on_exit
        self._watched: dict[int, ProcessKey] = {}  # by pidfd
        self.turned_away = 0  # processes for which there was no room: their rules ended at once

    def add(self, process: ProcessKey) -> None:
        """Report the end of this process, in a later turn of the loop even if it has ended already."""
        if process in self._watched.values():
            return
        if not self._begin(process):
            asyncio.get_running_loop().call_soon(self._on_exit, process)

    def close(self) -> None:
        for descriptor in list(self._watched):
            self._forget(descriptor)

    def _begin(self, process: ProcessKey) -> bool:
        if len(self._watched) < MAX_WATCHED:
            with suppress(OSError):
                return self._wait_for(process)
        self.turned_away += 1
        return False

    def _wait_for(self, process: ProcessKey) -> bool:
        """Watch the process; false when it has ended. Raises OSError when the kernel has no room for one more."""
        descriptor = open_pidfd(process.pid, process.started_ns)
        if descriptor is None:
            return False
        try:
            asyncio.get_running_loop().add_reader(descriptor, self._ended, descriptor, process)
        except OSError:  # epoll_ctl(2): we would not hear of its end
            os.close(descriptor)
            raise
        self._watched[descriptor] = process
        return True

    def _ended(self, descriptor: int, process: ProcessKey) -> None:
        self._forget(descriptor)
        self._on_exit(process)

    def _forget(self, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        self._watched.pop(descriptor, None)
