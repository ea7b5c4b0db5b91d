"""What rules mention that is looked up on this machine: lists, users, programs and the folders of patterns."""

from collections.abc import Iterable

import msgspec

from tinysnitch.core.remote_words import RESOLVERS
from tinysnitch.core.rule import ProgramKind, RemoteKind, Rule

BUILT_IN_LISTS = frozenset({RESOLVERS})


class Mentions(msgspec.Struct, frozen=True, kw_only=True):
    """Each as the rules have it."""

    lists: frozenset[str] = frozenset()  # the files that rules name as @NAME
    users: frozenset[str] = frozenset()  # by name; a uid stands for itself
    paths: frozenset[str] = frozenset()  # of programs and parents
    patterns: frozenset[str] = frozenset()
    # Those in rules of a user, who may have written the rule: whoever can turn a link on the way matters there.
    own_paths: frozenset[str] = frozenset()
    own_patterns: frozenset[str] = frozenset()

    def __or__(self, other: "Mentions") -> "Mentions":
        fields = self.__struct_fields__
        return Mentions(**{name: getattr(self, name) | getattr(other, name) for name in fields})


def mentions_of(rules: Iterable[Rule]) -> Mentions:
    rules = tuple(rules)
    own = tuple(rule for rule in rules if rule.user is not None)
    return Mentions(
        lists=frozenset(rule.remote.text for rule in rules if rule.remote.kind is RemoteKind.LIST) - BUILT_IN_LISTS,
        users=frozenset(rule.user for rule in own if rule.user is not None and not rule.user.isdigit()),
        paths=_paths_of(rules),
        patterns=_patterns_of(rules),
        own_paths=_paths_of(own),
        own_patterns=_patterns_of(own),
    )


def _paths_of(rules: tuple[Rule, ...]) -> frozenset[str]:
    programs = frozenset(rule.program.text for rule in rules if rule.program.kind is ProgramKind.PATH)
    return programs | {rule.parent for rule in rules if rule.parent is not None}


def _patterns_of(rules: tuple[Rule, ...]) -> frozenset[str]:
    return frozenset(rule.program.text for rule in rules if rule.program.kind is ProgramKind.GLOB)
