"""What rules mention that has to be looked up on this machine: lists, users, paths of programs, patterns of paths."""

from collections.abc import Iterable

import msgspec

from tinysnitch.core.policy.facts import RESOLVERS
from tinysnitch.core.rules.rule import ProgramKind, RemoteKind, Rule

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
        return Mentions(**{name: getattr(self, name) | getattr(other, name) for name in fields})


def mentions_of(rules: Iterable[Rule]) -> Mentions:
    rules = tuple(rules)
    own = [rule for rule in rules if rule.user is not None]
    lists = {rule.remote.text for rule in rules if rule.remote.kind is RemoteKind.LIST}
    users = {rule.user for rule in own if rule.user is not None and not rule.user.isdigit()}
    return Mentions(
        lists=frozenset(lists - BUILT_IN_LISTS),
        users=frozenset(users),
        paths=_paths_of(rules),
        patterns=_patterns_of(rules),
        own_paths=_paths_of(own),
        own_patterns=_patterns_of(own),
    )


def _paths_of(rules: Iterable[Rule]) -> frozenset[str]:
    programs = {rule.program.text for rule in rules if rule.program.kind is ProgramKind.PATH}
    return frozenset(programs.union(rule.parent for rule in rules if rule.parent is not None))


def _patterns_of(rules: Iterable[Rule]) -> frozenset[str]:
    return frozenset(rule.program.text for rule in rules if rule.program.kind is ProgramKind.GLOB)
