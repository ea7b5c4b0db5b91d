"""Which columns of a connection a decision rests on: whatever is alike in these is decided alike.

The rule that won, and all that match and say otherwise, decide alike by themselves (`stands_alone`). So it does
not matter what rules of the same verdict test. The columns of a decision are those that its rule tests, and those that
any rule tests that may be about the program and says otherwise.
"""

from collections import Counter
from collections.abc import Hashable, Iterable

import msgspec

from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.rule_keys import count_use, program_key
from tinysnitch.core.rules.rule import RemoteKind, Rule

BY_NAME = frozenset({RemoteKind.NAME, RemoteKind.DOMAIN, RemoteKind.LIST})


class Columns(msgspec.Struct, frozen=True):
    """Besides user, protocol and direction, which always count. An interface is none: see Decision.is_flow_only."""

    remote: bool = False  # its name or its address
    name: bool = False
    port: bool = False
    args: bool = False
    parent: bool = False
    exec: bool = False  # what one exec alone has: its file's sum, or a rule that ends with it


ALL = Columns(remote=True, name=True, port=True, exec=True)


class ColumnCounts:
    """How many rules test which columns, by the program that they name and their verdict."""

    def __init__(self) -> None:
        self._tested: dict[tuple[Hashable, Verdict], Counter[str]] = {}

    def count(self, rule: Rule, step: int) -> None:
        tested = self._tested.setdefault((program_key(rule.program), rule.verdict), Counter())
        for column in _tested_by(rule):
            count_use(tested, column, step)

    def columns_of(self, winner: Rule | None, programs: Iterable[Hashable], *, stands_alone: bool = False) -> Columns:
        """What the decision rests on that this rule makes. `programs`: the keys of the connection's program."""
        others = [each for each in Verdict if not (winner and stands_alone and each is winner.verdict)]
        tested = {column for key in programs for each in others for column in self._tested.get((key, each), ())}
        return Columns(**dict.fromkeys(tested.union(_tested_by(winner) if winner else ()), True))


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
