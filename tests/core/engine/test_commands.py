"""What the engine wants done and told, where transcript.py leaves it out."""

import pytest

from tests.core.engine.transcript import BANK, Transcript, flow_of, yes
from tinysnitch.core.engine import commands as cmd
from tinysnitch.core.engine import events as ev
from tinysnitch.core.engine.records import ConnectionDecided
from tinysnitch.core.prompts.choice import Lifetime
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import format_rule, parse_rule

WIDER = "allow - - - /usr/bin/curl"


@pytest.mark.parametrize(
    ("lifetime", "by_hand", "line"),
    [
        (Lifetime.ONCE, None, "allow 10.0.0.80 443 tcp /usr/bin/curl ()"),
        (Lifetime.FOREVER, parse_rule(WIDER), WIDER),  # a narrower one would ask again
    ],
)
def test_what_a_person_decides_is_told_with_the_rule_of_the_answer(
    lifetime: Lifetime, by_hand: Rule | None, line: str
) -> None:
    engine = Transcript("ask 10.0.0.80 443 tcp /usr/bin/curl ()")
    engine.queue()
    told = engine.feed(ev.AnswerGiven(1, yes(lifetime), 1000, by_hand))
    (rule,) = (
        command.record.decision.rule
        for command in told
        if isinstance(command, cmd.Report) and isinstance(command.record, ConnectionDecided)
    )
    assert rule is not None
    assert format_rule(rule) == line


def test_a_rule_that_ends_with_a_process_is_not_kept() -> None:
    engine = Transcript()
    engine.queue(flow_of(1))
    engine.answer(1, yes(Lifetime.QUIT))
    engine.queue(flow_of(2, BANK))
    assert "keep 1" in engine.answer(2, yes(Lifetime.DAY))
