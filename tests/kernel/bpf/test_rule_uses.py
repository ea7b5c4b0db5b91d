"""Which rule has which index, and what is read of an array that the kernel's side counts in."""

import os
import struct
from collections.abc import Iterator
from contextlib import closing

import pytest

from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.kernel.bpf import layout, rule_uses
from tinysnitch.kernel.bpf.rule_uses import RuleUse, RuleUses

FIRST, SECOND, THIRD = (parse_rule(f"allow - {port} tcp") for port in (80, 443, 22))


@pytest.fixture
def array() -> Iterator[int]:
    """A file in the map's place: a memory map of the one reads as that of the other."""
    descriptor = os.memfd_create("uses")
    os.truncate(descriptor, rule_uses._SIZE)
    yield descriptor
    os.close(descriptor)


def count(array: int, index: int, number: int, last_ns: int) -> None:
    os.pwrite(array, struct.pack("=QQ", number, last_ns), index * 16)


def read(uses: RuleUses) -> dict[Rule, RuleUse]:
    return dict(uses.read())


def test_a_rule_keeps_its_index_and_only_what_was_used_is_read(array: int) -> None:
    new: list[None] = []
    with closing(RuleUses(array)) as uses:
        uses.on_new = lambda: new.append(None)
        assert [uses.index_of(rule) for rule in (FIRST, SECOND, FIRST, None)] == [1, 2, 1, 0]
        assert len(new) == 2
        count(array, 2, 5, 77)
        assert read(uses) == {SECOND: RuleUse(5, 77)}


def test_what_was_counted_before_a_rule_got_its_index_is_not_its_own(array: int) -> None:
    count(array, 1, 3, 7)
    with closing(RuleUses(array)) as uses:
        uses.index_of(FIRST)
        assert read(uses) == {}
        count(array, 1, 4, 8)
        assert read(uses) == {FIRST: RuleUse(1, 8)}


def test_an_index_that_is_taken_over_goes_on_and_others_are_new(array: int) -> None:
    with closing(RuleUses(array)) as uses:
        uses.index_of(FIRST)
        uses.index_of(SECOND)
        count(array, 1, 5, 7)
        kept = {rule: found for rule, found in uses.indexes().items() if rule != FIRST}
    assert kept == {SECOND: (2, 0)}
    count(array, 2, 9, 8)  # while no daemon runs
    with closing(RuleUses(array)) as uses:
        uses.take_over(kept)
        assert read(uses) == {SECOND: RuleUse(9, 8)}
        assert uses.index_of(THIRD) == 3


def test_indexes_of_an_array_that_is_gone_are_not_taken_over(array: int) -> None:
    with closing(RuleUses(array)) as uses:
        uses.take_over({SECOND: (2, 5)})
        assert uses.index_of(FIRST) == 1
        count(array, 1, 1, 8)
        assert read(uses) == {FIRST: RuleUse(1, 8)}


def test_a_rule_that_finds_no_index_is_counted_nowhere_and_that_is_counted(
    array: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "RULES_COUNTED", 2)
    with closing(RuleUses(array)) as uses:
        assert [uses.index_of(FIRST), uses.index_of(SECOND)] == [1, 0]
        assert uses.uncounted == 1
