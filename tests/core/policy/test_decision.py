import pytest

from tests.core.engine.transcript import Transcript
from tinysnitch.core.engine.commands import Report
from tinysnitch.core.engine.records import ConnectionDecided
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import LEARNING, Decision, deny_unanswered, let_pass
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.text import parse_rule


def test_what_is_let_pass_keeps_why_it_would_be_asked() -> None:
    asked = Decision(verdict=Verdict.ASK, reason="no rule matches", is_flow_only=True)
    passed = Decision(verdict=Verdict.ALLOW, reason=f"{LEARNING}no rule matches", is_flow_only=True, is_learned=True)
    assert let_pass(asked) == passed


@pytest.mark.parametrize("rule", [None, parse_rule("ask - 443 tcp")])
def test_a_denial_without_an_answer_tells_the_rule_that_has_it_asked(rule: Rule | None) -> None:
    asked = Decision(verdict=Verdict.ASK, reason="asked for by a rule", rule=rule, until_s=9.0, is_flow_only=True)
    denied = Decision(verdict=Verdict.DENY, reason="nobody is there", rule=rule, is_flow_only=True, is_unanswered=True)
    assert deny_unanswered(asked, "nobody is there", None) == denied


@pytest.mark.parametrize(
    ("settings", "is_learned", "is_turned_away"),
    [({"is_learning": True}, True, False), ({"max_prompts": 0}, False, True), ({"timeout_s": 0.0}, False, False)],
)
def test_a_decision_tells_why_nobody_was_asked(
    settings: dict[str, object], is_learned: bool, is_turned_away: bool
) -> None:
    engine = Transcript(**settings)
    records = [one.record for one in engine.feed(engine.next_packet()) if isinstance(one, Report)]
    decided = [record.decision for record in records if isinstance(record, ConnectionDecided)]
    assert [(decision.is_learned, decision.is_turned_away) for decision in decided] == [(is_learned, is_turned_away)]
