"""Where the paths in rules lead, even if some lie in a file system that does not answer (NFS without its server).

The loop must not wait for such a path: the server may be behind the very connection that waits for our verdict. So a
thread looks each path up first. A path that does not answer (*silent*) leads where it led when it was last looked up,
and is tried again after a while, but not while a thread still waits for it: there are few such threads, and other paths
need them.

Of many paths most were looked up before. Then only new ones are looked up at once, and the first (PathWatch watches
these); the others in slices, with verdicts in between.

Watches the paths in rules on disk: a link on the way that is changed changes what the rules mean.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from heapq import nsmallest
from itertools import islice

import msgspec

from tinysnitch.core.policy.references import Mentions
from tinysnitch.core.rules.words import quote_word
from tinysnitch.daemon.scheduling.timers import SingleTimer
from tinysnitch.kernel.system.offload import Offload
from tinysnitch.store.file_watch import Look, look_here, watch_ways
from tinysnitch.store.rule_paths import (
    find_patterns,
    find_turnable_links,
    find_turnable_patterns,
    folder_of,
    resolve_path,
)

AGAIN_S = 60.0
MAX_WATCHED = 256  # paths
MAX_SILENT = 4  # after so many silent paths in one reading all that are left count as silent too
_TOGETHER = 1000  # paths that a thread looks up at once: 10 ms
_SLICE, _SLICE_EACH_S = 100, 0.005


class Ways(msgspec.Struct, frozen=True):
    """Where paths and patterns lead: these are attributes of Facts."""

    links: dict[str, str] = {}
    turnable_links: frozenset[str] = frozenset()
    patterns: dict[str, str] = {}
    turnable_patterns: frozenset[str] = frozenset()


class _Look:
    """Looks paths up in a thread, and counts how many are done."""

    def __init__(self) -> None:
        self.has_begun = False
        self.seen = 0
        self.targets: dict[str, str] = {}  # of those that lead elsewhere

    def do(self, paths: Iterable[str]) -> bool:
        """Look all up, and return true. `seen` tells meanwhile how far this has come."""
        self.has_begun = True
        for path in paths:
            target = resolve_path(path)
            if target != path:
                self.targets[path] = target
            self.seen += 1
        return True


class PathFacts:
    def __init__(self, follow: Callable[[list[str]], None], again: Callable[[], object]) -> None:
        """`follow` is called with the paths to watch: the first MAX_WATCHED that answer. `again` is called when it is
        time to look silent paths up once more, or when a later look found something new."""
        self._follow = follow
        self._again = again
        self._timer = SingleTimer(self._ring)
        self._slice_timer = SingleTimer(self._look_on)
        self._reader = Offload()
        self._silent: frozenset[str] = frozenset()
        self._waiting: dict[str, tuple[_Look, int]] = {}  # by path: the look that waits there, its `seen`
        self._mentions = Mentions()  # of the last reading
        self._places: frozenset[str] = frozenset()  # the paths, and the folders of patterns
        self._first: list[str] = []  # of these
        self._known: set[str] = set()  # places that were looked up, and answered
        self._leads: dict[str, str] = {}  # those that lead elsewhere; also silent ones, as last looked up
        self._later: Iterator[str] | None = None  # known places that are being looked up once more
        self._is_wanted_again = self._has_moved = False  # while that goes on
        self._last = Ways()

    def cancel(self) -> None:
        self._timer.cancel()
        self._slice_timer.cancel()

    def read(self, mentions: Mentions) -> Ways:
        if mentions is not self._mentions:
            self._set_places(mentions)
        self._waiting = {path: (look, seen) for path, (look, seen) in self._waiting.items() if look.seen == seen}
        self._silent = frozenset((self._silent | self._waiting.keys()) & self._places)
        new = self._places - self._known if len(self._known) < len(self._places) else frozenset()
        first = nsmallest(MAX_WATCHED, self._places - self._silent) if self._silent else self._first
        now = sorted((new - self._silent).union(first))
        self._look_up(now)
        if len(self._known) > len(now):
            self._look_later(now)
        self._follow([path for path in first if path not in self._silent])
        if self._silent:
            self._timer.start(AGAIN_S)
        self._last = self._read_ways(mentions)
        return self._last

    def _set_places(self, mentions: Mentions) -> None:
        places = mentions.paths.union(map(folder_of, mentions.patterns)) if mentions.patterns else mentions.paths
        if places != self._places:
            self._places, self._first = places, nsmallest(MAX_WATCHED, places)
            self._known &= places
            self._leads = {place: target for place, target in self._leads.items() if place in places}
        self._mentions = mentions

    def problems(self) -> Iterator[str]:
        """What the last reading found wrong."""
        for path in sorted(self._silent):
            yield f"{quote_word(path[:256])}, a path in rules, cannot be looked up: what it lies in does not answer"

    def _read_ways(self, mentions: Mentions) -> Ways:
        """Where all lead, as it was last looked up."""
        kept = self._silent.union(pattern for pattern in mentions.patterns if folder_of(pattern) in self._silent)
        links = {path: target for path, target in self._leads.items() if path in mentions.paths}
        patterns, last = find_patterns(mentions.patterns, self._leads), self._last
        turnable_links = find_turnable_links(mentions.own_paths - kept, links)
        turnable_patterns = find_turnable_patterns(mentions.own_patterns - kept, patterns)
        return Ways(
            links=links,
            turnable_links=turnable_links | (last.turnable_links & kept),
            patterns=patterns,
            turnable_patterns=turnable_patterns | (last.turnable_patterns & kept),
        )

    def _look_up(self, paths: Sequence[str]) -> frozenset[str]:
        """Look these up; returns those that are silent."""
        silent = frozenset(self._find_silent(paths))
        self._silent |= silent
        self._known.update(paths)
        self._known -= silent
        return silent

    def _find_silent(self, paths: Sequence[str]) -> Iterator[str]:
        """Look all up, and yield each path at which a look got stuck; after MAX_SILENT of them all that are left."""
        left, count = paths, 0
        while left and count < MAX_SILENT:
            some, look = left[:_TOGETHER], _Look()
            is_whole = self._reader.read_shared(partial(look.do, some))
            number = len(some) if is_whole else look.seen
            self._note(some[:number], look.targets)
            if number < len(some):
                if look.has_begun:
                    self._waiting[some[number]] = look, number
                yield some[number]
                number, count = number + 1, count + 1
            left = left[number:]
        yield from left

    def _note(self, paths: Iterable[str], targets: Mapping[str, str]) -> None:
        """Note where these lead."""
        for path in paths:
            target = targets.get(path)
            if target != self._leads.get(path):
                self._has_moved = True
                if target is None:
                    del self._leads[path]
                else:
                    self._leads[path] = target

    def _look_later(self, done: Iterable[str]) -> None:
        """Look all others up that are known, or begin anew once the look is over that goes on."""
        if self._later is not None:
            self._is_wanted_again = True
            return
        self._later, self._is_wanted_again, self._has_moved = iter(tuple(self._known.difference(done))), False, False
        self._slice_timer.start(_SLICE_EACH_S)

    def _look_on(self) -> None:
        """Look up the next slice. At the end tell if anything differs, and begin anew if that was wanted meanwhile."""
        assert self._later is not None
        some = tuple(islice(self._later, _SLICE))
        if some:
            self._slice_timer.start(_SLICE_EACH_S)  # first: it goes on even if this slice fails
            silent = self._look_up([path for path in some if path in self._known])
            self._has_moved |= bool(silent)
            return
        self._later = None
        if self._has_moved:
            self._again()
        elif self._is_wanted_again:
            self._look_later(self._first)

    def _ring(self) -> None:
        self._silent = frozenset()
        self._again()


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
