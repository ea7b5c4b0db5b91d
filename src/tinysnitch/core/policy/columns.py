"""Which columns of a connection a decision rests on: whatever is alike in these is decided alike.

The rule that won, and all that match and say otherwise, decide alike by themselves (Decision.stands_alone). So it does
not matter what rules of the same verdict test. The columns of a decision are those that its rule tests, and those that
any rule tests that may be about the program and says otherwise.
"""

from collections import Counter
from collections.abc import Hashable, Iterable

import msgspec

from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.policy.rule_keys import count_use, program_key
from tinysnitch.core.rules.rule import RemoteKind, Rule

_KEPT = 4096
BY_NAME = frozenset({RemoteKind.NAME, RemoteKind.DOMAIN, RemoteKind.LIST})


class Columns(msgspec.Struct, frozen=True):
    """Besides user, protocol and direction, which always count. An interface is none: see Decision.is_flow_only."""

    remote: bool = False  # its name or its address
    name: bool = False
    port: bool = False
    args: bool = False
    parent: bool = False
    exec: bool = False  # what one exec alone has: its file's sum, or a rule that ends with it


class ColumnCounts:
    """How many rules test which columns, by the program that they name and their verdict."""

    def __init__(self) -> None:
        self._tested: dict[tuple[Hashable, Verdict], Counter[str]] = {}
        # By what they depend on: a program with many remotes has one decision after the other by the same rule.
        self._known: BoundedTable[tuple[Hashable, ...], Columns] = BoundedTable(_KEPT)

    def count(self, rule: Rule, step: int) -> None:
        self._known.clear()
        tested = self._tested.setdefault((program_key(rule.program), rule.verdict), Counter())
        for column in _tested_by(rule):
            count_use(tested, column, step)

    def columns_of(self, decision: Decision, programs: frozenset[Hashable]) -> Columns:
        """`programs`: the keys of the connection's program."""
        key = (decision.rule, decision.verdict, decision.stands_alone, programs)
        known = self._known.find(key)
        if known is None:
            known = self._find(decision, programs)
            self._known.put(key, known)
        return known

    def _find(self, decision: Decision, programs: Iterable[Hashable]) -> Columns:
        is_alone = decision.rule is not None and decision.stands_alone
        others = [each for each in Verdict if not (is_alone and each is decision.verdict)]
        tested = {column for key in programs for each in others for column in self._tested.get((key, each), ())}
        return Columns(**dict.fromkeys(tested.union(_tested_by(decision.rule) if decision.rule else ()), True))


def _tested_by(rule: Rule) -> list[str]:
    tests = {
        "remote": rule.remote.kind is not RemoteKind.ANY,
        "name": rule.remote.kind in BY_NAME,
        "port": bool(rule.ports),
        "args": rule.args is not None,
        "parent": rule.parent is not None,
        "exec": rule.sha256 is not None or rule.exec_id is not None,
    }
    return [column for column, is_tested in tests.items() if is_tested]
