"""Rules made for a connection: most of their columns match it, so that many rules meet, and fight, over one connection.

Columns that are drawn without looking match all together once in a thousand rules.
"""

from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.policy.rule_oracle import matches
from tests.core.rules.rule_strategies import COLUMNS
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.rules.rule import Rule

_OPEN, _MATCHING = 0.5, 0.9  # half of the columns are left open, and nine in ten of all match
_seeds = st.integers(0, 2**32)


@cache
def _matching_values(asked: Connection) -> dict[str, list[Any]]:
    """Of each column the values that match."""
    rule = Rule(verdict=Verdict.ALLOW, direction=asked.flow.direction)
    return {
        name: [value for value in values if matches(replace(rule, **{name: value}), asked, 0.0)]
        for name, values in COLUMNS.items()
    }


def _make_rule(asked: Connection, seed: int) -> Rule:
    random, matching = Random(seed), _matching_values(asked)

    def choose(name: str) -> object:
        number = random.random()
        if number < _OPEN:
            return matching[name][0]
        return random.choice(matching[name] if number < _MATCHING else COLUMNS[name])

    return Rule(verdict=random.choice(list(Verdict)), **{name: choose(name) for name in COLUMNS})


@st.composite
def rules_about(draw: st.DrawFn, asked: Sequence[Connection], most: int) -> list[Rule]:
    """Rules for one or the other of these connections. Hypothesis draws a number for each, which takes a tenth of the
    time that drawing each column does."""
    count = draw(st.integers(0, most))  # Hypothesis itself would seldom make more than five
    numbers = draw(st.lists(_seeds, min_size=count, max_size=count))
    return [_make_rule(asked[number % len(asked)], number) for number in numbers]
