"""Where the paths in rules lead, even if some lie in a file system that does not answer (NFS without its server).

The loop must not wait for such a path: the server may be behind the very connection that waits for our verdict. So a
thread looks each path up first. A path that does not answer (*silent*) leads where it led when it was last looked up,
and is tried again after a while, but not while a thread still waits for it: there are few such threads, and other paths
need them.

The first MAX_WATCHED of the paths are watched: a link on the way that is changed changes what the rules mean.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import cache, partial
from heapq import nsmallest

import msgspec

from tinysnitch.core.policy.references import Mentions
from tinysnitch.core.rules.quoting import quote_word
from tinysnitch.daemon.scheduling.timers import SingleTimer
from tinysnitch.kernel.system.offload import Offload
from tinysnitch.store.file_watch import Look, look_here, watch_ways
from tinysnitch.store.rule_paths import (
    find_patterns,
    find_target,
    find_turnable_links,
    find_turnable_patterns,
    folder_of,
    resolve_path,
)

AGAIN_S = 60.0
MAX_WATCHED = 256  # paths
MAX_SILENT = 4  # after so many silent paths in one reading all that are left count as silent too
PAUSE_S = 1.0  # between two watches: users may change links of their own as fast as they like

Watch = Callable[[], AsyncIterator[None]]


class Ways(msgspec.Struct, frozen=True):
    """Where paths and patterns lead: these are attributes of Facts."""

    links: dict[str, str] = {}
    turnable_links: frozenset[str] = frozenset()
    patterns: dict[str, str] = {}
    turnable_patterns: frozenset[str] = frozenset()


class _Look:
    """Looks paths up in a thread, and counts how many are done."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self.has_begun = False
        self.done = 0
        self.leads: dict[str, str] = {}  # those that lead elsewhere

    def run(self) -> bool:
        """Look all up, and return true. `done` tells meanwhile how far this has come."""
        self.has_begun = True
        find_target_once = cache(find_target)  # most paths share their folders
        for path in self._paths:
            target = resolve_path(path, find_target_once)
            if target != path:
                self.leads[path] = target
            self.done += 1
        return True


class PathFacts:
    def __init__(self, follow: Callable[[list[str]], None], again: Callable[[], object]) -> None:
        """`follow` is called with the paths to watch: the first MAX_WATCHED, without silent ones. `again` is called
        when it is time to look silent paths up once more."""
        self._follow = follow
        self._again = again
        self._timer = SingleTimer(self._ring)
        self._reader = Offload()
        self._silent: frozenset[str] = frozenset()
        self._waiting: dict[str, tuple[_Look, int]] = {}  # by path: the look that waits there, its `done`
        self._last = Ways()

    def cancel(self) -> None:
        self._timer.cancel()

    def read(self, mentions: Mentions) -> Ways:
        places = mentions.paths.union(map(folder_of, mentions.patterns))
        self._waiting = {path: (look, done) for path, (look, done) in self._waiting.items() if look.done == done}
        self._silent = frozenset((self._silent | self._waiting.keys()) & places)
        leads = self._look_up(sorted(places - self._silent))
        self._follow([path for path in nsmallest(MAX_WATCHED, places) if path not in self._silent])
        if self._silent:
            self._timer.start(AGAIN_S)
        self._last = self._read_ways(mentions, leads)
        return self._last

    def problems(self) -> Iterator[str]:
        """What the last reading found wrong."""
        for path in sorted(self._silent):
            yield f"{quote_word(path[:256])}, a path in rules, cannot be looked up: what it lies in does not answer"

    def _look_up(self, paths: Sequence[str]) -> dict[str, str]:
        """Where those lead that lead elsewhere. Each path at which a look gets stuck is silent from now on; after
        MAX_SILENT of them all that are left are."""
        leads: dict[str, str] = {}
        silent: list[str] = []
        while paths and len(silent) < MAX_SILENT:
            look = _Look(paths)
            self._reader.read_shared(look.run)
            done, leads = look.done, leads | look.leads
            if done < len(paths):
                silent.append(paths[done])
                if look.has_begun:
                    self._waiting[paths[done]] = look, done
            paths = paths[done + 1 :]
        self._silent |= {*silent, *paths}
        return leads

    def _read_ways(self, mentions: Mentions, leads: Mapping[str, str]) -> Ways:
        """Where all lead. What is silent leads where it did."""
        kept, last = self._silent, self._last
        kept_patterns = {pattern for pattern in mentions.patterns if folder_of(pattern) in kept}
        links = {path: target for path, target in leads.items() if path in mentions.paths}
        links |= {path: last.links[path] for path in kept & last.links.keys()}
        patterns = find_patterns(mentions.patterns - kept_patterns, leads)
        patterns |= {pattern: last.patterns[pattern] for pattern in kept_patterns & last.patterns.keys()}
        turnable_links = find_turnable_links(mentions.own_paths - kept, links)
        turnable_patterns = find_turnable_patterns(mentions.own_patterns - kept_patterns, patterns)
        return Ways(
            links=links,
            turnable_links=turnable_links | (last.turnable_links & kept),
            patterns=patterns,
            turnable_patterns=turnable_patterns | (last.turnable_patterns & kept_patterns),
        )

    def _ring(self) -> None:
        self._silent = frozenset()
        self._again()


class PathWatch:
    """Watches the ways that some paths lead. Whoever hears of a change looks the paths up again."""

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
