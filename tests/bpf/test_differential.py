"""The comparison of `make fuzz`, for some seconds; and that a key without any one of its columns would be found."""

import math
from collections.abc import Iterator
from random import Random
from unittest.mock import patch

import pytest

from tests.bpf.differential import SEED, Comparison, Difference, Outcome, compare, opened_comparison
from tinysnitch.core.dns.tracker import DnsTracker
from tinysnitch.core.policy import columns
from tinysnitch.core.rules.rule import Rule

pytestmark = pytest.mark.privileged

PAIRS = 2000
MUTANT_PAIRS = 6000  # the first difference comes after some hundred

_tested_by = columns._tested_by


def test_where_the_kernel_answers_it_is_what_the_engine_says() -> None:
    outcome = compare(PAIRS)
    assert outcome.pairs == PAIRS
    assert min(outcome.allowed, outcome.denied) > PAIRS / 20


@pytest.fixture(scope="module")
def comparison() -> Iterator[Comparison]:
    with opened_comparison(Random(SEED), Outcome()) as opened:
        yield opened


@pytest.mark.parametrize("column", ["remote", "port", "args", "parent", "exec"])
def test_a_verdict_that_left_a_column_out_would_be_found(comparison: Comparison, column: str) -> None:
    def leave_out(rule: Rule) -> list[str]:
        return [tested for tested in _tested_by(rule) if tested != column]

    with patch.object(columns, "_tested_by", leave_out), pytest.raises(Difference):
        comparison.run(MUTANT_PAIRS)


def test_names_of_one_program_taken_for_those_of_all_would_be_found(comparison: Comparison) -> None:
    with patch.object(DnsTracker, "common_until_s", return_value=math.inf), pytest.raises(Difference):
        comparison.run(MUTANT_PAIRS)
