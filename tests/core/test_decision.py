import pytest

from tinysnitch.core.decision import Decision, deny_unanswered
from tinysnitch.core.rule import Rule
from tinysnitch.core.rule_text import parse_rule
from tinysnitch.core.verdict import Verdict


@pytest.mark.parametrize("rule", [None, parse_rule("ask - 443 tcp")])
def test_a_denial_without_an_answer_tells_the_rule_that_has_it_asked(rule: Rule | None) -> None:
    asked = Decision(verdict=Verdict.ASK, reason="asked for by a rule", rule=rule, until_s=9.0, is_flow_only=True)
    denied = Decision(verdict=Verdict.DENY, reason="nobody is there", rule=rule)
    assert deny_unanswered(asked, "nobody is there", None) == denied
