"""The line that stands on top of other pages while a question waits."""

import msgspec

from tinysnitch.view.connection_view import present_sentence
from tinysnitch.view.prompt_state import PromptState
from tinysnitch.view.prompt_view import URGENT_S
from tinysnitch.view.span import Span, format_time_left


class Call(msgspec.Struct, frozen=True):
    sentence: tuple[Span, ...]
    rest: str  # how many more wait, and how long this one still does
    is_urgent: bool


def present_call(state: PromptState, now: float) -> Call | None:
    """The question in sight on its own page; None if there is none."""
    question = state.selected
    if question is None:
        return None
    seconds = max(0, round(question.deadline_s - now))
    more = state.questions.waiting_count - 1
    others = f"{more} more, " if more > 0 else ""
    return Call(
        present_sentence(question.prompt.connection), f"{others}{format_time_left(seconds)}", seconds <= URGENT_S
    )
