"""All rules: which of them matches a connection, and which one wins (DESIGN.md 5)."""

from collections.abc import Iterable, Iterator

import msgspec

from tinysnitch.core.connection import Connection
from tinysnitch.core.decision import Decision
from tinysnitch.core.facts import Facts
from tinysnitch.core.rule import Rule
from tinysnitch.core.verdict import Verdict


class Explanation(msgspec.Struct, frozen=True):
    decision: Decision
    winner: Rule | None
    losers: tuple[tuple[Rule, str], ...]  # each with why it lost


class Ruleset:
    def __init__(self, rules: Iterable[Rule] = (), facts: Facts | None = None) -> None:
        self._rules = dict.fromkeys(rules)
        self._facts = facts or Facts()

    def __len__(self) -> int:
        return len(self._rules)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules)

    def add(self, rule: Rule) -> None:
        self._rules[rule] = None

    def remove(self, rule: Rule) -> None:
        self._rules.pop(rule, None)

    def set_facts(self, facts: Facts) -> None:
        self._facts = facts

    def needs_sha256(self, executable: str) -> bool:
        return any(rule.sha256 for rule in self._rules)

    def decide(self, connection: Connection, wall_s: float) -> Decision:
        return Decision(verdict=Verdict.ASK, reason="no rule matches")

    def explain(self, connection: Connection, wall_s: float) -> Explanation:
        return Explanation(self.decide(connection, wall_s), None, ())
