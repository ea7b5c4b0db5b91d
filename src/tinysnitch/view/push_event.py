"""What the daemon pushes, as the event that a prompt's state takes."""

from typing import assert_never

from tinysnitch.protocol.messages import Notice, PromptClosed, PromptShown, Push
from tinysnitch.view.lookup import FindUser
from tinysnitch.view.prompt_events import NoticeGiven, QuestionClosed, QuestionOpened


def event_of_push(push: Push, find_user: FindUser) -> QuestionOpened | QuestionClosed | NoticeGiven:
    match push:
        case PromptShown(prompt):
            return QuestionOpened(prompt)
        case PromptClosed(prompt_id, reason, by_uid):
            by = "" if by_uid is None else f", by {find_user(by_uid) or f'uid {by_uid}'}"
            return QuestionClosed(prompt_id, f"{reason}{by}")
        case Notice(text, hint):
            return NoticeGiven(join_hint(text, hint))
        case _:
            assert_never(push)


def join_hint(text: str, hint: str) -> str:
    """A message and its hint in one line."""
    return f"{text} ({hint})" if hint else text
