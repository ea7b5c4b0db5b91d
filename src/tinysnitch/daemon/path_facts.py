"""What the paths in rules lead to; also where some of them lie in what does not answer: NFS, say, whose server is gone.

The loop must not wait for that: the server may be reached by the very connection that waits for us. So a thread looks
first. A path that is silent leads where it led when it was looked up last, and is tried again after a while; but not
while a thread still waits there, since there are only so many of these, and other paths are to be looked up on.
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
MAX_SILENT = 4  # found one after the other; what is left then is not looked for, and may lie in the same place
_TOGETHER = 1000  # paths that are looked for at once: 10 ms


class Ways(msgspec.Struct, frozen=True):
    """As in Facts."""

    links: dict[str, str] = {}
    turnable_links: frozenset[str] = frozenset()
    patterns: dict[str, str] = {}
    turnable_patterns: frozenset[str] = frozenset()


class _Look:
    """How many paths a thread has looked up."""

    def __init__(self) -> None:
        self.has_begun = False
        self.seen = 0

    def do(self, paths: Iterable[str]) -> bool:
        """Whether it came to its end; whoever does not wait for that sees how far it came."""
        self.has_begun = True
        for path in paths:
            resolve_path(path)
            self.seen += 1
        return True


class PathFacts:
    def __init__(self, follow: Callable[[frozenset[str]], None], again: Callable[[], object]) -> None:
        """`follow` is told which paths the rules have, before these are looked up: links may be turned later. `again`
        is called when what was silent is to be looked up once more."""
        self._follow = follow
        self._again = again
        self._timer = SingleTimer(self._ring)
        self._reader = BoundedReader()
        self._silent: frozenset[str] = frozenset()
        self._waiting: dict[str, tuple[_Look, int]] = {}  # by path: a look that waits there, and what it has seen
        self._last = Ways()

    def cancel(self) -> None:
        self._timer.cancel()

    def read(self, said: Mentions) -> Ways:
        places = said.paths.union(map(folder_of, said.patterns))
        self._waiting = {path: (look, seen) for path, (look, seen) in self._waiting.items() if look.seen == seen}
        self._silent = (self._silent | self._waiting.keys()) & places
        self._silent |= frozenset(self._find_silent(sorted(places - self._silent)))
        self._follow(places - self._silent)
        if self._silent:
            self._timer.start(AGAIN_S)
        self._last = self._read_ways(said)
        return self._last

    def problems(self) -> Iterator[str]:
        """What is wrong since the last reading."""
        for path in sorted(self._silent):
            yield f"{quote_word(path[:256])}, a path in rules, cannot be looked up: what it lies in does not answer"

    def _read_ways(self, said: Mentions) -> Ways:
        """Of what is silent, what was read before."""
        kept = self._silent.union(pattern for pattern in said.patterns if folder_of(pattern) in self._silent)
        links, patterns, last = find_links(said.paths - kept), find_patterns(said.patterns - kept), self._last
        return Ways(
            links=links | {path: target for path, target in last.links.items() if path in kept},
            turnable_links=find_turnable_links(said.own_paths, links) | (last.turnable_links & kept),
            patterns=patterns | {pattern: target for pattern, target in last.patterns.items() if pattern in kept},
            turnable_patterns=find_turnable_patterns(said.own_patterns, patterns) | (last.turnable_patterns & kept),
        )

    def _find_silent(self, paths: Sequence[str]) -> Iterator[str]:
        """Each path that a look came no further than; with too many of them all that is left."""
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
