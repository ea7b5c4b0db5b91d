import pytest

from tests.view.sample_prompts import prompt_of
from tinysnitch.protocol.messages import Notice, PromptClosed, PromptShown, Push, RuleWritten
from tinysnitch.view.prompt_events import Answer, Answers, Event, NoticeGiven, QuestionClosed, QuestionOpened
from tinysnitch.view.push_event import event_of_push, notice_of_answer

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
    assert event_of_push(push, {0: "root"}.get) == event


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (RuleWritten("deny - - -"), "answered once: deny - - -"),
        (RuleWritten(""), "answered once"),
        (RuleWritten("deny - - -", "not saved", "make room"), "not saved (make room)"),
    ],
)
def test_what_became_of_an_answer(written: RuleWritten, text: str) -> None:
    assert notice_of_answer(written, Answer(1, None, holds="once")) == NoticeGiven(text)


def test_what_became_of_many_answers() -> None:
    both = Answers((Answer(1, None, holds="once"), Answer(2, None, holds="once")))
    assert notice_of_answer(RuleWritten("deny - - -"), both) == NoticeGiven("answered 2 questions together: deny, once")
    unsaved = RuleWritten("deny - - -", "not saved", "make room")
    assert notice_of_answer(unsaved, both) == NoticeGiven("not saved (make room)")
