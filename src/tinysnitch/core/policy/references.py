"""What rules mention that has to be looked up on this machine: lists, users, paths of programs, patterns of paths."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from tinysnitch.core.policy.facts import RESOLVERS
from tinysnitch.core.rules.rule import ProgramKind, RemoteKind, Rule
from tinysnitch.core.rules.rule_file import find_common_ends

BUILT_IN_LISTS = frozenset({RESOLVERS})


class Mentions(msgspec.Struct, frozen=True, kw_only=True):
    """Texts as the rules have them."""

    lists: frozenset[str] = frozenset()  # names of files, from @NAME
    users: frozenset[str] = frozenset()  # names; a uid needs no look-up
    paths: frozenset[str] = frozenset()  # of programs and parents
    patterns: frozenset[str] = frozenset()
    # Those in rules with user=, which that user may have written: there it matters who can change links on the way.
    own_paths: frozenset[str] = frozenset()
    own_patterns: frozenset[str] = frozenset()

    def __or__(self, other: "Mentions") -> "Mentions":
        fields = self.__struct_fields__
        return Mentions(**{name: _union(getattr(self, name), getattr(other, name)) for name in fields})


class MentionCount:
    """Finds what rules mention. Of rules that are mostly those of the last time only the others are looked at."""

    def __init__(self) -> None:
        self._rules: tuple[Rule, ...] = ()  # that are counted
        self._counts: dict[str, Counter[str]] = {}
        self._found = Mentions()

    def find(self, rules: Iterable[Rule]) -> Mentions:
        new, old, self._rules = tuple(rules), self._rules, ()  # if this fails all are counted the next time
        ends = find_common_ends(old, new)
        came, gone = ends.middle_of(new), ends.middle_of(old)
        if not old:
            self._counts = {name: Counter() for name in Mentions.__struct_fields__}
        if came or gone or not old:
            for name, words in _words_of(came):
                self._counts[name].update(words)
            for name, words in _words_of(gone):
                _take_away(self._counts[name], words)
            self._found = Mentions(**{name: frozenset(count) for name, count in self._counts.items()})
        self._rules = new
        return self._found


def _union(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    """One that has all is taken itself: to make another, and to compare it, takes 20 ms for 100,000 paths."""
    return other if one <= other else one | other


def mentions_of(rules: Iterable[Rule]) -> Mentions:
    return MentionCount().find(rules)


def _words_of(rules: Sequence[Rule]) -> Iterator[tuple[str, Iterator[str]]]:
    own = [rule for rule in rules if rule.user is not None]
    lists = (rule.remote.text for rule in rules if rule.remote.kind is RemoteKind.LIST)
    yield "lists", (name for name in lists if name not in BUILT_IN_LISTS)
    yield "users", (rule.user for rule in own if rule.user is not None and not rule.user.isdigit())
    for prefix, some in (("", rules), ("own_", own)):
        yield f"{prefix}paths", (rule.program.text for rule in some if rule.program.kind is ProgramKind.PATH)
        yield f"{prefix}paths", (rule.parent for rule in some if rule.parent is not None)
        yield f"{prefix}patterns", (rule.program.text for rule in some if rule.program.kind is ProgramKind.GLOB)


def _take_away(count: Counter[str], words: Iterable[str]) -> None:
    for word in words:
        count[word] -= 1
        if not count[word]:
            del count[word]
