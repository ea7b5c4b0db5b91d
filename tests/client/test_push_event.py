import msgspec
import pytest

from tests.view.sample_prompts import prompt_of
from tinysnitch.client.push_event import event_of_end, event_of_push, events_of_replies
from tinysnitch.core.model.errors import Busy, DaemonNotRunning, SnitchError
from tinysnitch.protocol.messages import Notice, PromptClosed, PromptShown, Push, RuleWritten
from tinysnitch.view.prompt_events import (
    Answer,
    AnswerRefused,
    Answers,
    ConnectionLost,
    Event,
    NoticeGiven,
    QuestionClosed,
    QuestionOpened,
)

PROMPT = prompt_of(1)


@pytest.mark.parametrize(
    ("push", "event"),
    [
        (PromptShown(PROMPT), QuestionOpened(PROMPT)),
        (PromptClosed(1, "the time is over"), QuestionClosed(1, "the time is over")),
        (PromptClosed(1, "denied", 0), QuestionClosed(1, "denied by root")),
        (PromptClosed(1, "answered once by uid 0", 0), QuestionClosed(1, "answered once by root")),
        (PromptClosed(1, "answered by uid 7", 7), QuestionClosed(1, "answered by uid 7")),
        (Notice("rules not loaded"), NoticeGiven("rules not loaded")),
        (Notice("rules not loaded", "see line 3"), NoticeGiven("rules not loaded (see line 3)")),
        (Notice("rules not loaded", "see line 3", stands=True), NoticeGiven("rules not loaded (see line 3)", True)),
        (Notice("rules load again", stands=False), NoticeGiven("rules load again", False)),
    ],
)
def test_what_the_daemon_pushes(push: Push, event: Event) -> None:
    assert event_of_push(push, {0: "root"}.get, 9.0) == event


@pytest.mark.parametrize(
    ("boot_s", "age_s", "remaining_s"),
    [(999.0, 5.0, 60.0), (1000.0, 5.0, 60.0), (1040.0, 45.0, 20.0), (1060.0, 5.0, 60.0), (9e9, 5.0, 60.0)],
)
def test_what_was_heard_late_is_as_old_as_it_is(boot_s: float, age_s: float, remaining_s: float) -> None:
    sent = msgspec.structs.replace(PROMPT, deadline_s=1060.0, remaining_s=60.0, age_s=5.0)
    heard = msgspec.structs.replace(sent, age_s=age_s, remaining_s=remaining_s)
    assert event_of_push(PromptShown(sent), {}.get, boot_s) == QuestionOpened(heard)


def test_why_a_connection_is_tried_again() -> None:
    assert event_of_end(DaemonNotRunning("gone", "start it")) == ConnectionLost("gone")
    assert event_of_end(Busy("64 are there", "close one")) == ConnectionLost("64 are there (close one)", is_gone=False)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (RuleWritten("deny - - -"), "answered once: deny - - -"),
        (RuleWritten(""), "answered once"),
        (RuleWritten("deny - - -", "not saved", "make room"), "not saved (make room)"),
    ],
)
def test_what_became_of_an_answer(written: RuleWritten, text: str) -> None:
    one = Answers((Answer(1, None, holds="once"),))
    assert list(events_of_replies(one, written, [])) == [NoticeGiven(text)]


@pytest.mark.parametrize(
    ("problem", "text"), [("", "answered 2 questions together: deny, once"), ("not saved", "not saved (make room)")]
)
def test_what_became_of_many_answers(problem: str, text: str) -> None:
    both = Answers((Answer(1, None, holds="once"), Answer(2, None, holds="once")))
    written = RuleWritten("deny - - -", problem, "make room")
    refused = [(both.answers[1], SnitchError("too late"))]
    assert list(events_of_replies(both, written, refused)) == [NoticeGiven(text), AnswerRefused(2, "too late")]


@pytest.mark.parametrize(("rule", "text"), [(None, "too late"), ("deny - - -", "too late (see `tinysnitch asks`)")])
def test_hints_of_refusals_are_for_who_writes_lines_and_commands(rule: str | None, text: str) -> None:
    one = Answers((Answer(1, None, rule),))
    refused = [(one.answers[0], SnitchError("too late", "see `tinysnitch asks`"))]
    assert list(events_of_replies(one, None, refused)) == [AnswerRefused(1, text)]
