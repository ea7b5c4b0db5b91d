"""Finds among many rules those that cover a rule, and those that may overlap it, without looking at all of them.

It holds rules as they are and resolved (resolve_rule): what is looked up is resolved, what is found is as it was added.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache

import msgspec

from tinysnitch.core.model.domain import domains_of, find_registrable_domain
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.facts import WORDS, Facts, RemoteWords
from tinysnitch.core.policy.precedence import covers, covers_program, may_overlap, resolve_rule
from tinysnitch.core.rules.network import ADDRESS_BITS, V4_BITS, Network, parse_network
from tinysnitch.core.rules.rule import ANY_PROGRAM, ANY_REMOTE, Program, ProgramKind, Remote, RemoteKind, Rule

_AREA_BITS = {True: V4_BITS + 16, False: 32}  # of networks, by is_v4: those within so many first bits lie together
_Place = Remote | Network
_Area = str | int | None  # what two remotes have in common that may overlap; None: any
_BY_PATH = (ProgramKind.PATH, ProgramKind.GLOB)
_WITHOUT_PROCESS = (ProgramKind.KERNEL, ProgramKind.UNKNOWN)


class Scoped(msgspec.Struct, frozen=True, eq=False):
    rule: Rule  # as it was added
    scope: Rule  # the same, resolved


class ScopeIndex:
    def __init__(self, facts: Facts, rules: Iterable[Rule] = ()) -> None:
        self.facts = facts
        self.words = RemoteWords(facts)
        self._at: dict[Program, dict[_Place, list[Scoped]]] = {}
        self._in: dict[Verdict, dict[Program, dict[_Area, list[Scoped]]]] = {verdict: {} for verdict in Verdict}
        self._globs: set[Program] = set()
        self._word_remotes: set[Remote] = set()
        self._prefixes: set[int] = set()
        for rule in rules:
            self.add(rule)

    def add(self, rule: Rule) -> None:
        entry = Scoped(rule, resolve_rule(rule, self.facts))
        program, remote = entry.scope.program, entry.scope.remote
        place = _place_of(remote)
        self._at.setdefault(program, {}).setdefault(place, []).append(entry)
        self._in[entry.scope.verdict].setdefault(program, {}).setdefault(_area_of(remote), []).append(entry)
        if program.kind is ProgramKind.GLOB:
            self._globs.add(program)
        if remote.kind in WORDS:
            self._word_remotes.add(remote)
        if isinstance(place, Network):
            self._prefixes.add(place.prefix)

    def resolve(self, rule: Rule) -> Rule:
        return resolve_rule(rule, self.facts)

    def covering(self, scope: Rule) -> Iterator[Scoped]:
        """Those that cover the rule, which is resolved; itself too."""
        places = list(self._places_around(scope.remote))
        for by_place in self._programs_around(scope.program):
            for place in places:
                yield from (each for each in by_place.get(place, ()) if covers(each.scope, scope, self.words))

    def overlapping(self, scope: Rule, verdict: Verdict) -> Iterator[Scoped]:
        """Those of the verdict that may match a connection that the rule, which is resolved, matches too."""
        area = _area_of(scope.remote)
        for program, by_area in self._in[verdict].items():
            if not _may_share_program(program, scope.program):
                continue
            found = by_area.values() if area is None else (by_area.get(area, ()), by_area.get(None, ()))
            yield from (each for near in found for each in near if may_overlap(each.scope, scope, self.words))

    def _programs_around(self, program: Program) -> Iterator[dict[_Place, list[Scoped]]]:
        around = {ANY_PROGRAM, program}
        if program.kind in _BY_PATH:
            around.update(each for each in self._globs if covers_program(each, program))
        return (self._at[each] for each in around if each in self._at)

    def _places_around(self, remote: Remote) -> Iterator[_Place]:
        """The places of all remotes that may cover this one."""
        yield ANY_REMOTE
        if remote.kind is RemoteKind.NETWORK:
            network = parse_network(remote.text)
            for prefix in self._prefixes:
                if prefix <= network.prefix:
                    rest = ADDRESS_BITS - prefix
                    yield Network(network.base >> rest << rest, prefix)
        elif remote.kind in (RemoteKind.NAME, RemoteKind.DOMAIN):
            yield from (Remote(RemoteKind.DOMAIN, domain) for domain in domains_of(remote.text))
        if remote.kind is RemoteKind.NAME or remote.kind in WORDS:
            yield remote
        if remote.kind not in WORDS:
            yield from self._word_remotes


def _place_of(remote: Remote) -> _Place:
    return parse_network(remote.text) if remote.kind is RemoteKind.NETWORK else remote


@lru_cache(maxsize=16384)
def _area_of(remote: Remote) -> _Area:
    if remote.kind in (RemoteKind.NAME, RemoteKind.DOMAIN):
        return find_registrable_domain(remote.text)
    if remote.kind is RemoteKind.NETWORK:
        network = parse_network(remote.text)
        bits = _AREA_BITS[network.is_v4]
        return network.base >> ADDRESS_BITS - bits if network.prefix >= bits else None
    return None


def _may_share_program(one: Program, other: Program) -> bool:
    if covers_program(one, other) or covers_program(other, one):
        return True
    kinds = {one.kind, other.kind}
    if not kinds.isdisjoint(_WITHOUT_PROCESS):
        return False
    return ProgramKind.OWNER in kinds or kinds == {ProgramKind.GLOB}
