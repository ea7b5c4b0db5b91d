"""Reads the settings file again when it was edited, and has what can change while we run do so.

The rest counts at the next start, and people are told. The file is read in a thread: to check the users that it names
may need the network, and so our verdicts.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Protocol

from tinysnitch.core.engine.events import DataLost, TimeoutChanged
from tinysnitch.core.model.flow import parse_address
from tinysnitch.daemon.control.permissions import Permissions
from tinysnitch.daemon.loop.driver import Driver
from tinysnitch.daemon.options import Options, SettingsRead
from tinysnitch.daemon.scheduling.follow import follow
from tinysnitch.kernel.system.offload import NoThread, Offload
from tinysnitch.store.file_watch import watch_file

LIVE = frozenset({"timeout_s", "resolvers", "users", "admins"})  # options that can change while we run


class Resolvers(Protocol):
    """Who holds the resolvers that are set."""

    def set_resolvers(self, resolvers: frozenset[bytes]) -> None: ...


class SettingsWatch:
    def __init__(
        self,
        begun: SettingsRead,
        read: Callable[[], SettingsRead],
        permissions: Permissions,
        driver: Driver,
        resolvers: Resolvers,
    ) -> None:
        """`begun`: what was read at the start. `read` raises nothing."""
        self.path = begun.options.settings_file
        self.now = begun
        self.later: tuple[str, ...] = ()  # keys that count at the next start
        self._begun = begun.options
        self._read = read
        self._driver = driver
        self._permissions = permissions
        self._resolvers = resolvers
        driver.ports.clients.prompt_settings = begun.prompt
        self._offload = Offload()
        self._task: asyncio.Task[None] | None = None
        self._is_reading = False
        self._is_stale = False  # the file changed while it was read

    def start(self) -> None:
        self._tell_errors(())
        self._task = asyncio.create_task(follow(partial(watch_file, self.path, Offload().look), self.read_again))

    def stop(self) -> None:
        if self._task:
            self._task.cancel()

    def read_again(self) -> None:
        """Begin to read the file. What it says counts once it was read."""
        if self._is_reading:
            self._is_stale = True
            return
        with suppress(NoThread):  # the next edit is read
            self._offload.begin(self._read, self._take)
            self._is_reading = True

    def _take(self, settings: SettingsRead | None) -> None:
        self._is_reading = False
        if settings is not None and settings != self.now:
            was, self.now = self.now, settings
            self._change(was, settings)
        if self._is_stale:
            self._is_stale = False
            self.read_again()

    def _change(self, was: SettingsRead, now: SettingsRead) -> None:
        self._tell_errors(was.errors)
        self._change_options(was.options, now.options)
        if now.prompt != was.prompt:
            self._driver.ports.clients.change_prompt_settings(now.prompt)
        later = tuple(key for field, key in now.keys.items() if field not in LIVE and self._differs(field))
        if later and later != self.later:
            self._tell(f"{self.path}: at the next start these count: {', '.join(later)}", "restart tinysnitchd")
        self.later = later

    def _change_options(self, was: Options, now: Options) -> None:
        if now.timeout_s != was.timeout_s:
            self._driver.feed(TimeoutChanged(now.timeout_s))
        if now.resolvers != was.resolvers:
            self._resolvers.set_resolvers(frozenset(map(parse_address, now.resolvers)))
        if (now.users, now.admins) != (was.users, was.admins):
            self._permissions.change(now.users, now.admins)

    def _differs(self, field: str) -> bool:
        return bool(getattr(self.now.options, field) != getattr(self._begun, field))

    def _tell_errors(self, known: tuple[object, ...]) -> None:
        for error in self.now.errors:
            if error not in known:
                self._tell(f"{error}, so it does not count", error.hint)

    def _tell(self, text: str, hint: str) -> None:
        """Tell the log, and the prompts of those who see everything."""
        self._driver.feed(DataLost(f"{text} (hint: {hint})" if hint else text, 1))
        self._driver.ports.clients.push_notice(text, hint)
