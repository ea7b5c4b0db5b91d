"""All rules: which of them match a connection, and which one wins.

1. A matching rule is dropped if a narrower one (precedence.py) matches too.
2. If any of the rest denies, deny; else if any asks, ask; else allow. If no rule matches, ask.
3. Nothing else counts, least of all the order of lines. Where several rules make the decision,
   the one whose line sorts first is named.
4. A rule with user= that allows or asks matches nothing if its path leads over a link that others than root can change
   (user_rules.py, 4).
5. Where more than MAX_COMPARED rules match, none is dropped by (1): the strictest verdict holds. To compare a thousand
   with each other would hold up everybody for a second, and users can make rules (user_rules.py).
"""

from collections.abc import Hashable, Iterable, Iterator

import msgspec
from msgspec.structs import replace

from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.columns import BY_NAME, ColumnCounts
from tinysnitch.core.policy.decision import DENIED_BY_RULE, Decision
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.policy.precedence import covers, covers_program, find_winner, is_narrower, resolve_rule
from tinysnitch.core.policy.rule_index import RuleIndex
from tinysnitch.core.policy.rule_keys import PROGRAM, KeyMaker
from tinysnitch.core.policy.user_rules import has_turnable_path
from tinysnitch.core.rules.rule import Program, ProgramKind, Rule
from tinysnitch.core.rules.rule_line import format_rule

_REASONS = {
    Verdict.ALLOW: "allowed by a rule",
    Verdict.DENY: DENIED_BY_RULE,
    Verdict.ASK: "asked by a rule",
}
_NO_RULE = "no rule matches"
_TURNABLE = "its path leads over a link that others than root can change"
MAX_COMPARED = 128  # rules that match one connection: 20 ms
_TOO_MANY = f"more than {MAX_COMPARED} rules match, too many to compare: deny beats ask, and ask allow"
_KEPT = 4096  # decisions


class Contest(msgspec.Struct, frozen=True):
    decision: Decision  # with the rule that won
    losers: tuple[tuple[Rule, str], ...]  # the other matching rules, each with why it lost
    elsewhere: tuple[tuple[Rule, str], ...] = ()  # rules that would decide on an interface, with its name


class Ruleset:
    """A set of rules that can be changed."""

    def __init__(self, rules: Iterable[Rule], facts: Facts | None = None) -> None:
        self._facts = facts or Facts()
        self._index = RuleIndex()
        self._summed: list[Rule] = []  # rules with sha256=
        self._key_maker = KeyMaker(self._facts)
        self._columns = ColumnCounts()
        self._count = 0
        self._name_denials = self._ends = 0  # rules that deny names; rules with an end
        self.denies_names = False  # whether a name could make some rule deny what is allowed without one
        # Decisions, by the interface, the keys of the program and the ids of the rules that match.
        self._conclusions: BoundedTable[tuple[object, ...], Decision] = BoundedTable(_KEPT)
        for rule in rules:
            self.add(rule)

    def add(self, rule: Rule) -> bool:
        """False: the rule was there already."""
        is_new = self._index.add(rule)
        if is_new:
            self._note(rule, 1)
        return is_new

    def remove(self, rule: Rule) -> None:
        if self._index.remove(rule):
            self._note(rule, -1)

    def __contains__(self, rule: Rule) -> bool:
        return rule in self._index

    def set_facts(self, facts: Facts) -> None:
        self._facts = facts
        self._key_maker.set_facts(facts)
        self._conclusions.clear()

    def needs_sha256(self, path: str) -> bool:
        """Whether a rule with sha256= may be about the program at the path."""
        program = Program(ProgramKind.PATH, path)
        resolved = (resolve_rule(rule, self._facts) for rule in self._summed)
        return any(rule.program.kind is ProgramKind.OWNER or covers_program(rule.program, program) for rule in resolved)

    def decide(self, connection: Connection, wall_s: float) -> Decision:
        keys = self._key_maker.keys_for(connection)
        found, programs = self._index.find(keys), keys[PROGRAM]
        candidates = _in_time(found, wall_s) if self._ends else found
        key: tuple[object, ...] = (connection.interface, programs, *map(id, candidates))
        decision = self._conclusions.find(key)
        if decision is None:
            decision = self._conclude(candidates, connection.interface, programs)
            self._conclusions.put(key, decision)
        return decision if candidates is found else _with_ended(decision, found, candidates)

    def find_about(self, connection: Connection, wall_s: float, limit: int, *, any_program: bool) -> list[Rule] | None:
        """The rules for this program, wherever it connects to, the oldest first; None: more than `limit`.

        `any_program`: those for any program too, but for denials.
        """
        keys = self._key_maker.program_keys_for(connection.attribution)
        found = self._index.find_of_program(keys if any_program else keys - {None}, limit)
        return None if found is None else self._holding(_in_time(found, wall_s))

    def explain(self, connection: Connection, wall_s: float) -> Contest:
        """The decision, and why the other matching rules did not make it."""
        decision = self.decide(connection, wall_s)
        keys = self._key_maker.keys_for(connection)
        candidates = _in_time(self._index.find(keys), wall_s)
        matching = _with_interface(candidates, connection.interface)
        losers = sorted((rule for rule in matching if rule is not decision.rule), key=format_rule)
        winner = [decision.rule] if decision.rule else []  # without one, all that match are dropped by (4)
        rivals = [*winner, *self._holding(losers)]
        why = tuple((rule, self._why_lost(rule, rivals)) for rule in losers)
        return Contest(decision, why, tuple(self._decide_elsewhere(candidates, decision, keys[PROGRAM])))

    def _note(self, rule: Rule, step: int) -> None:
        self._conclusions.clear()  # a new rule may get the id of a removed one, and others rest on what it tests
        self._key_maker.count(rule, step)
        self._columns.count(rule, step)
        self._count += step
        self._ends += step * (rule.until_s is not None)
        self._name_denials += step * _denies_names(rule)
        self.denies_names = self._name_denials > 0
        if rule.sha256:
            change = self._summed.append if step > 0 else self._summed.remove
            change(rule)

    def _decide_elsewhere(
        self, candidates: list[Rule], decision: Decision, programs: frozenset[Hashable]
    ) -> Iterator[tuple[Rule, str]]:
        for interface in sorted({rule.iface for rule in candidates if rule.iface}):
            rule = self._conclude(candidates, interface, programs).rule
            if rule is not None and rule is not decision.rule:
                yield rule, interface

    def _holding(self, rules: list[Rule]) -> list[Rule]:
        """The rules without those that match nothing by (4)."""
        return [rule for rule in rules if not has_turnable_path(rule, self._facts)]

    def _conclude(self, candidates: list[Rule], interface: str, programs: frozenset[Hashable]) -> Decision:
        if len(candidates) == 1 and _is_plain(candidates[0]):
            (rule,) = candidates
            asking = (rule,) if rule.verdict is Verdict.ASK else ()
            columns = self._columns.columns_of(rule, programs, stands_alone=True)
            return Decision(
                verdict=rule.verdict, reason=_REASONS[rule.verdict], rule=rule, asking=asking, columns=columns
            )
        matching = self._holding(_with_interface(candidates, interface))
        is_flow_only = any(rule.iface for rule in candidates)
        if not matching:
            columns = self._columns.columns_of(None, programs)
            return Decision(verdict=Verdict.ASK, reason=_NO_RULE, columns=columns, is_flow_only=is_flow_only)
        left = self._contest(matching)
        winner = find_winner(left)
        ending = tuple(rule for rule in matching if rule.until_s is not None)
        return Decision(
            verdict=winner.verdict,
            reason=_REASONS[winner.verdict],
            rule=winner,
            until_s=min((rule.until_s for rule in ending if rule.until_s is not None), default=None),
            ending=ending,
            asking=tuple(rule for rule in left if winner.verdict is rule.verdict is Verdict.ASK),
            columns=self._columns.columns_of(winner, programs, stands_alone=self._stands_alone(winner, matching)),
            is_flow_only=is_flow_only,
        )

    def _stands_alone(self, winner: Rule, matching: list[Rule]) -> bool:
        """Whether the winner and all that say otherwise decide alike by themselves. Where more rules could match than
        are compared, those of the same verdict might change the outcome (5)."""
        others = [rule for rule in matching if rule.verdict is not winner.verdict]
        if not others:
            return True
        return self._count <= MAX_COMPARED and find_winner(self._contest([winner, *others])).verdict is winner.verdict

    def _contest(self, matching: list[Rule]) -> list[Rule]:
        """The rules that are left by (1), or all of them by (5)."""
        if len(matching) == 1 or len(matching) > MAX_COMPARED:
            return matching
        scopes = [resolve_rule(rule, self._facts) for rule in matching]
        return [
            rule
            for rule, scope in zip(matching, scopes, strict=True)
            if not any(is_narrower(other, scope, self._key_maker.remote_words) for other in scopes)
        ]

    def _why_lost(self, rule: Rule, rivals: list[Rule]) -> str:
        if has_turnable_path(rule, self._facts):
            return _TURNABLE
        if len(rivals) > MAX_COMPARED:
            return _TOO_MANY
        scope, words = resolve_rule(rule, self._facts), self._key_maker.remote_words
        for rival in rivals:
            rival_scope = resolve_rule(rival, self._facts)
            if is_narrower(rival_scope, scope, words):
                how = "a temporary one of the same scope" if covers(rival_scope, scope, words) else "a narrower one"
                return f"{how} matches too: {format_rule(rival)}"
        winner = rivals[0]
        if winner.verdict is rule.verdict:
            return "it says the same"
        return f"{winner.verdict.value} beats {rule.verdict.value}, and neither rule is narrower"


def _is_plain(rule: Rule) -> bool:
    """Whether nothing but its keys tells whether the rule matches, and for how long."""
    return rule.iface is None and rule.user is None and rule.until_s is None


def _denies_names(rule: Rule) -> bool:
    return rule.verdict is Verdict.DENY and rule.remote.kind in BY_NAME


def _in_time(rules: list[Rule], wall_s: float) -> list[Rule]:
    return [rule for rule in rules if rule.until_s is None or wall_s < rule.until_s]


def _with_ended(decision: Decision, found: list[Rule], in_time: list[Rule]) -> Decision:
    return decision if len(in_time) == len(found) else replace(decision, has_ended=True)


def _with_interface(rules: list[Rule], interface: str) -> list[Rule]:
    return [rule for rule in rules if rule.iface is None or rule.iface == interface]
