import pytest

from tests.core.engine.transcript import Transcript
from tinysnitch.core.engine.commands import Report
from tinysnitch.core.engine.records import ConnectionDecided
from tinysnitch.core.model.asking_mode import ASKING, OBSERVING, begin_mode
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import LEARNING, Decision, because_of, deny_unanswered, is_covered_by, let_pass
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import parse_rule


def test_what_is_let_pass_keeps_why_it_would_be_asked() -> None:
    asked = Decision(verdict=Verdict.ASK, reason="no rule matches", is_flow_only=True)
    passed = Decision(verdict=Verdict.ALLOW, reason=f"{LEARNING}no rule matches", is_flow_only=True, is_learned=True)
    assert let_pass(asked) == passed


def test_a_pause_decides_what_no_rule_covers_until_its_end_and_observing_what_a_rule_asks_about() -> None:
    now, later = Instant(5.0, 1_700_000_000.0), Instant(65.0, 0.0)
    pause = begin_mode(Verdict.ALLOW, 60.0, now)
    uncovered = Decision(verdict=Verdict.ASK, reason="no rule matches")
    by_rule = Decision(verdict=Verdict.ASK, reason="asked by a rule", asking=(parse_rule("ask - 443 tcp"),))
    decided = [[is_covered_by(mode, one, now) for one in (uncovered, by_rule)] for mode in (ASKING, pause, OBSERVING)]
    assert decided == [[False, False], [True, False], [True, True]]
    assert not is_covered_by(pause, uncovered, later)
    assert because_of(pause, "no rule matches") == "paused until 2023-11-14T22:14:20Z, no rule matches"
    assert let_pass(uncovered, pause).ends_s == 65.0


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
