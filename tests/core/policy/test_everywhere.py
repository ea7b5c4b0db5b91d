import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.policy.rule_oracle import decide_slowly
from tests.core.policy.test_ruleset import AT_5, AT_9, connection, ruleset
from tests.core.rules.rule_strategies import FACTS, connections, meeting_rules
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.ruleset import Ruleset
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.text import parse_rule


@pytest.mark.parametrize(
    ("lines", "verdict"),
    [
        (["allow - - - /usr/bin/curl"], Verdict.ALLOW),
        (["deny - - tcp"], Verdict.DENY),
        (["allow - - - /usr/bin/curl", "deny - - -"], Verdict.ALLOW),
        (["allow - - - /usr/bin/curl", "allow localhost - -", "allow @ads - -", "allow - 80 tcp"], Verdict.ALLOW),
        (["allow - - - /usr/bin/curl", "deny 10.0.0.1 - - /usr/bin/wget", "deny - - -src"], Verdict.ALLOW),
        (["allow - - - /usr/bin/curl", "deny ads.example.com - -"], None),
        (["allow - - - /usr/bin/curl", "ask - 22 tcp"], None),
        (["allow - - - /usr/bin/curl", "deny iface=wlan0 - - -"], None),
        (["allow - 443 tcp", "allow 0.0.0.0/0 - -"], None),
        (["ask - - -"], Verdict.ASK),
        ([], None),
    ],
)
def test_what_is_decided_everywhere(lines: list[str], verdict: Verdict | None) -> None:
    found = ruleset(*lines).decide_everywhere(connection(), 0.0)
    assert (found and found.verdict) is verdict


def test_what_is_decided_everywhere_ends_with_a_rule_that_makes_it() -> None:
    rules = ruleset("deny - - -", f"allow {AT_9} - - - /usr/bin/curl", f"allow {AT_5} 10.0.0.1 - -")
    found = rules.decide_everywhere(connection(), 0.0)
    assert found is not None
    assert (found.verdict, found.until_s) == (Verdict.ALLOW, 9.0)
    assert rules.decide_everywhere(connection(), 9.0) == replace(
        found,
        verdict=Verdict.DENY,
        until_s=None,
        ending=(),
        has_ended=True,
        **{"reason": "denied by a rule", "rule": parse_rule("deny - - -")},
    )


def test_too_many_rules_to_look_at_decide_one_by_one() -> None:
    rules = ruleset("deny - - -", *(f"deny n{number}.example - -" for number in range(5000)))
    assert rules.decide_everywhere(connection(), 0.0) is None


@settings(max_examples=300, deadline=None)
@given(
    st.lists(meeting_rules, max_size=12), connections, st.lists(connections, max_size=8), st.sampled_from([0.0, 90.0])
)
def test_it_is_decided_everywhere_as_looking_at_every_rule_would(
    rules: list[Rule], asked: Connection, others: list[Connection], wall_s: float
) -> None:
    found = Ruleset(rules, FACTS).decide_everywhere(asked, wall_s)
    if found is None:
        return
    for other in (asked, *others):
        flow = replace(other.flow, protocol=asked.flow.protocol, direction=asked.flow.direction)
        elsewhere = replace(other, flow=flow, attribution=asked.attribution)
        assert decide_slowly(rules, elsewhere, wall_s) is found.verdict
        if found.until_s is not None:
            assert decide_slowly(rules, elsewhere, found.until_s - 0.001) is found.verdict
