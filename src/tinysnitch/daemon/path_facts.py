"""Where the paths in rules lead, even if some lie in a file system that does not answer (NFS without its server).

The loop must not wait for such a path: the server may be behind the very connection that waits for our verdict. So a
thread looks each path up first. A path that does not answer (*silent*) leads where it led when it was last looked up,
and is tried again after a while, but not while a thread still waits for it: there are few such threads, and other paths
need them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import msgspec

from tinysnitch.core.mentions import Mentions
from tinysnitch.core.words import quote_word
from tinysnitch.daemon.single_timer import SingleTimer
from tinysnitch.kernel.bounded_reader import BoundedReader
from tinysnitch.store.rule_paths import (
    find_links,
    find_patterns,
    find_turnable_links,
    find_turnable_patterns,
    folder_of,
    resolve_path,
)

AGAIN_S = 60.0
MAX_SILENT = 4  # after so many silent paths in one reading all that are left count as silent too
_TOGETHER = 1000  # paths that a thread looks up at once: 10 ms


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

    def do(self, paths: Iterable[str]) -> bool:
        """Look all up, and return true. `seen` tells meanwhile how far this has come."""
        self.has_begun = True
        for path in paths:
            resolve_path(path)
            self.seen += 1
        return True


class PathFacts:
    def __init__(self, follow: Callable[[frozenset[str]], None], again: Callable[[], object]) -> None:
        """`follow` is called with the rules' paths before these are looked up, so that it sees every later change of a
        link. `again` is called when it is time to look silent paths up once more."""
        self._follow = follow
        self._again = again
        self._timer = SingleTimer(self._ring)
        self._reader = BoundedReader()
        self._silent: frozenset[str] = frozenset()
        self._waiting: dict[str, tuple[_Look, int]] = {}  # by path: the look that waits there, its `seen`
        self._last = Ways()

    def cancel(self) -> None:
        self._timer.cancel()

    def read(self, mentions: Mentions) -> Ways:
        places = mentions.paths.union(map(folder_of, mentions.patterns))
        self._waiting = {path: (look, seen) for path, (look, seen) in self._waiting.items() if look.seen == seen}
        self._silent = (self._silent | self._waiting.keys()) & places
        self._silent |= frozenset(self._find_silent(sorted(places - self._silent)))
        self._follow(places - self._silent)
        if self._silent:
            self._timer.start(AGAIN_S)
        self._last = self._read_ways(mentions)
        return self._last

    def problems(self) -> Iterator[str]:
        """What the last reading found wrong."""
        for path in sorted(self._silent):
            yield f"{quote_word(path[:256])}, a path in rules, cannot be looked up: what it lies in does not answer"

    def _read_ways(self, mentions: Mentions) -> Ways:
        """Look up what answers; for silent paths take what was read before."""
        kept = self._silent.union(pattern for pattern in mentions.patterns if folder_of(pattern) in self._silent)
        links, patterns, last = find_links(mentions.paths - kept), find_patterns(mentions.patterns - kept), self._last
        return Ways(
            links=links | {path: target for path, target in last.links.items() if path in kept},
            turnable_links=find_turnable_links(mentions.own_paths, links) | (last.turnable_links & kept),
            patterns=patterns | {pattern: target for pattern, target in last.patterns.items() if pattern in kept},
            turnable_patterns=find_turnable_patterns(mentions.own_patterns, patterns) | (last.turnable_patterns & kept),
        )

    def _find_silent(self, paths: Sequence[str]) -> Iterator[str]:
        """Yield each path at which a look got stuck; after MAX_SILENT of them all that are left."""
        left, count = paths, 0
        while left and count < MAX_SILENT:
            some, look = left[:_TOGETHER], _Look()
            is_whole = self._reader.read_shared(partial(look.do, some))
            number = len(some) if is_whole else look.seen
            if number < len(some):
                if look.has_begun:
                    self._waiting[some[number]] = look, number
                yield some[number]
                number, count = number + 1, count + 1
            left = left[number:]
        yield from left

    def _ring(self) -> None:
        self._silent = frozenset()
        self._again()
