"""The programs that the histories count and never name: `private` in the folder of the settings, a path a line.

The lines of the log on standard output are not touched: where these go is for root to say. A line that is no path costs
that line alone, and is told; of a file that others than root can change none counts.
"""

import asyncio
import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Protocol

from tinysnitch.core.engine.events import DataLost
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.daemon.scheduling.follow import follow
from tinysnitch.kernel.system.offload import Offload
from tinysnitch.store.file_watch import watch_file
from tinysnitch.store.whole_file import errors_named, read_guarded

PRIVATE_FILE = "private"
_HINT = "write a program's whole path on each line; `#` begins a comment"


class Keeper(Protocol):
    """What keeps a history."""

    private: frozenset[str]


class PrivateFile:
    def __init__(self, path: Path, keepers: Iterable[Keeper], feed: Callable[[DataLost], object]) -> None:
        self._path = path
        self._keepers = tuple(keepers)
        self._feed = feed
        self._told: tuple[str, ...] = ()  # what is wrong with the file as it is
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Read it now, before anything is kept, and at each change."""
        self.read()
        self._task = asyncio.create_task(follow(partial(watch_file, self._path, Offload().look), self.read))

    def stop(self) -> None:
        if self._task:
            self._task.cancel()

    def read(self) -> None:
        paths, problems = read_private(self._path)
        for keeper in self._keepers:
            keeper.private = paths
        for problem in problems:
            if problem not in self._told:
                self._feed(DataLost(f"{problem} (hint: {_HINT})", 1))
        self._told = problems


def read_private(path: Path) -> tuple[frozenset[str], tuple[str, ...]]:
    """The programs, also by the files that links lead to; and what is wrong."""
    try:
        with errors_named(path):
            raw = read_guarded(path)
    except SnitchError as error:
        is_missing = isinstance(error.__cause__, FileNotFoundError)
        return frozenset(), () if is_missing else (f"{error}, so no program is private",)
    if raw is None:
        return frozenset(), (f"{path}: others than root can change it, so no program is private",)
    paths, problems = set[str](), []
    for number, line in enumerate(os.fsdecode(raw).splitlines(), 1):
        word = line.partition(" #")[0].strip()
        if not word or word.startswith("#"):
            continue
        if word.startswith("/"):
            paths |= {word, os.path.realpath(word)}
        else:
            problems.append(f"{path}:{number}: {word[:80]!r} is no path, so it does not count")
    return frozenset(paths), tuple(problems)
