"""Waits for the end of processes that rules are bound to: one pidfd each, however many rules, bounded, no polling."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress

from tinysnitch.core.commands import WatchProcess
from tinysnitch.kernel.pidfd import open_pidfd

MAX_WATCHED = 1024


class ProcessWatch:
    def __init__(self, on_exit: Callable[[int], None]) -> None:
        """`on_exit` gets the exec id."""
        self._on_exit = on_exit
        self._watched: dict[int, WatchProcess] = {}  # by pidfd
        self.turned_away = 0  # whose rules ended at once

    def add(self, command: WatchProcess) -> None:
        """Reports later, also for a process that is gone already: never from within this call."""
        if command in self._watched.values():
            return
        loop = asyncio.get_running_loop()
        descriptor = self._open(command)
        if descriptor is None:
            loop.call_soon(self._on_exit, command.exec_id)
            return
        self._watched[descriptor] = command
        loop.add_reader(descriptor, self._ended, descriptor, command.exec_id)

    def find_pid(self, exec_id: int | None) -> int | None:
        """Of a process that is waited for."""
        return next((one.pid for one in self._watched.values() if one.exec_id == exec_id), None)

    def close(self) -> None:
        for descriptor in list(self._watched):
            self._forget(descriptor)

    def _open(self, command: WatchProcess) -> int | None:
        if len(self._watched) < MAX_WATCHED:
            with suppress(OSError):
                return open_pidfd(command.pid, command.started_ns)
        self.turned_away += 1
        return None

    def _ended(self, descriptor: int, exec_id: int) -> None:
        self._forget(descriptor)
        self._on_exit(exec_id)

    def _forget(self, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        self._watched.pop(descriptor, None)
