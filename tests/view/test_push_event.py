import pytest

from tests.view.sample_prompts import prompt_of
from tinysnitch.protocol.messages import Notice, PromptClosed, PromptShown, Push
from tinysnitch.view.prompt_events import Event, NoticeGiven, QuestionClosed, QuestionOpened
from tinysnitch.view.push_event import event_of_push

PROMPT = prompt_of(1)


@pytest.mark.parametrize(
    ("push", "event"),
    [
        (PromptShown(PROMPT), QuestionOpened(PROMPT)),
        (PromptClosed(1, "the time is over"), QuestionClosed(1, "the time is over")),
        (PromptClosed(1, "denied", 0), QuestionClosed(1, "denied, by root")),
        (PromptClosed(1, "denied", 7), QuestionClosed(1, "denied, by uid 7")),
        (Notice("rules not loaded"), NoticeGiven("rules not loaded")),
        (Notice("rules not loaded", "see line 3"), NoticeGiven("rules not loaded (see line 3)")),
    ],
)
def test_what_the_daemon_pushes(push: Push, event: Event) -> None:
    assert event_of_push(push, {0: "root"}.get) == event
