"""What a decision rests on: whatever else is otherwise, it is decided alike."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.policy.meetings import rules_about
from tests.core.policy.rule_oracle import FACTS, decide_slowly
from tests.core.policy.test_ruleset import connection, ruleset
from tests.core.rules.rule_strategies import connections
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import Direction, Flow
from tinysnitch.core.model.process import Attribution
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.columns import ColumnCounts, Columns
from tinysnitch.core.policy.ruleset import MAX_COMPARED, Ruleset
from tinysnitch.core.rules.rule_line import parse_rule


def columns_of(*lines: str) -> set[str]:
    rules, asked = ruleset(*lines), connection()
    columns = rules.decide(asked, 0.0).columns
    return {name for name in Columns.__struct_fields__ if getattr(columns, name)}


@pytest.mark.parametrize(
    ("lines", "columns"),
    [
        ([], ""),
        (["allow - - - /usr/bin/curl"], ""),
        (["deny - - tcp"], ""),
        (["allow - 443 tcp /usr/bin/curl"], "port"),
        (["allow example.com 443 tcp /usr/bin/curl"], "remote name port"),
        (["allow 93.184.216.34 - - /usr/bin/curl"], "remote"),
        (["allow - - - /usr/bin/curl -s"], "args"),
        (["allow parent=/usr/bin/bash - - - /usr/bin/curl"], "parent"),
        (["allow - - - /usr/bin/curl", "deny - - -"], ""),
        (["allow - - - /usr/bin/curl", "allow localhost - -", "allow @ads - -", "allow - 80 tcp"], ""),
        (["allow - - - /usr/bin/curl", "deny 10.0.0.1 - - /usr/bin/wget", "deny - - -src"], ""),
        (["allow - - - /usr/bin/curl", "deny ads.example.com - -"], "remote name"),
        (["allow - - - /usr/bin/curl", "ask - 22 tcp"], "port"),
        (["allow - - - /usr/bin/curl", "deny - - - /usr/bin/curl -x"], "args"),
        (["allow - - - /usr/bin/curl", "deny 10.0.0.0/8 - - /usr/bin/curl"], "remote"),
        (["allow - - -", "allow example.com - - /usr/bin/curl", "deny - - - /usr/bin/curl"], "remote name"),
    ],
)
def test_a_decision_rests_on_its_rule_and_on_what_would_say_otherwise(lines: list[str], columns: str) -> None:
    assert columns_of(*lines) == set(columns.split())


def test_a_rule_that_ends_with_a_process_is_for_one_exec_alone() -> None:
    rules, asked = ruleset("deny - - -"), connection()
    rules.add(replace(parse_rule("allow - - - /usr/bin/curl"), exec_id=7))
    assert rules.decide(asked, 0.0).columns.exec


def test_a_rule_that_wins_only_beside_others_of_its_verdict_does_not_stand_alone() -> None:
    """The denial gives way to the rule for the name alone; the wider one sorts first, and is named."""
    lines = ["allow - - tcp", "allow example.com - - /usr/bin/curl", "deny - - - /usr/bin/curl"]
    found = ruleset(*lines).decide(connection(), 0.0)
    assert found.verdict is Verdict.ALLOW
    assert columns_of(*lines) >= {"remote", "name"}


def test_where_more_rules_could_match_than_are_compared_all_columns_count() -> None:
    many = [f"allow - {port} tcp - " for port in range(1000, 1000 + MAX_COMPARED)]
    assert columns_of("allow - - - /usr/bin/curl", "deny - - -", *many) == {"port"}


def test_what_is_removed_counts_no_more() -> None:
    counts, rule = ColumnCounts(), parse_rule("deny a.test 443 tcp")
    for step in (1, 1, -1, -1):
        counts.count(rule, step)
    winner = parse_rule("allow - - - /usr/bin/curl")
    assert counts.columns_of(winner, {None, "/usr/bin/curl"}, stands_alone=True) == Columns()


def alike(asked: Connection, other: Connection, columns: Columns) -> Connection:
    """The other connection, but like the first one in these columns, and in what always counts."""
    mine, theirs = asked.flow, other.flow
    flow = replace(mine if columns.remote else theirs, protocol=mine.protocol, direction=mine.direction)
    flow = with_port(flow, (mine if columns.port else theirs).port)
    named = asked if columns.remote else other
    return replace(
        other,
        flow=flow,
        interface=asked.interface,
        name=named.name,
        other_names=named.other_names,
        attribution=of_the_program(asked.attribution, other.attribution, columns),
    )


def with_port(flow: Flow, port: int) -> Flow:
    return replace(flow, **{"remote_port" if flow.direction is Direction.OUTBOUND else "local_port": port})


def of_the_program(mine: Attribution, theirs: Attribution, columns: Columns) -> Attribution:
    if mine.process is None or theirs.process is None or columns.exec:
        return mine
    other = theirs.process
    open_ = {} if columns.args else {"args": other.args, "are_args_complete": other.are_args_complete}
    open_ |= {} if columns.parent else {"parents": other.parents}
    return replace(mine, process=replace(mine.process, exec_id=other.exec_id, **open_))


@settings(deadline=None)
@given(connections, st.lists(connections, min_size=1, max_size=4), st.sampled_from([0.0, 90.0]), st.data())
def test_whatever_is_alike_in_these_columns_is_decided_alike(
    asked: Connection, others: list[Connection], wall_s: float, data: st.DataObject
) -> None:
    rules = data.draw(rules_about([asked, *others], 8))
    made = Ruleset(rules, FACTS)
    decision = made.decide(asked, wall_s)
    if decision.is_flow_only or decision.verdict is Verdict.ASK:
        return
    for other in others:
        each = alike(asked, other, decision.columns)
        assert decide_slowly(rules, each, wall_s) is decision.verdict
        if decision.until_s is not None:
            assert decide_slowly(rules, each, decision.until_s - 0.001) is decision.verdict
