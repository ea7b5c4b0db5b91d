"""What the daemon says, as the events that a prompt's state takes."""

from collections.abc import Iterator
from typing import assert_never

import msgspec

from tinysnitch.core.errors import Busy, SnitchError
from tinysnitch.core.prompt import Prompt
from tinysnitch.protocol.messages import Notice, PromptClosed, PromptShown, Push, RuleWritten
from tinysnitch.view.answer_words import tell_taken
from tinysnitch.view.lookup import FindUser
from tinysnitch.view.prompt_events import (
    Answer,
    AnswerRefused,
    Answers,
    ConnectionLost,
    NoticeGiven,
    QuestionClosed,
    QuestionOpened,
)


def event_of_push(push: Push, find_user: FindUser, boot_s: float) -> QuestionOpened | QuestionClosed | NoticeGiven:
    """Heard at this moment of the boot-time clock."""
    match push:
        case PromptShown(prompt):
            return QuestionOpened(_aged(prompt, boot_s))
        case PromptClosed(prompt_id, reason, by_uid):
            return QuestionClosed(prompt_id, reason if by_uid is None else _name_user(reason, by_uid, find_user))
        case Notice(text, hint, stands):
            return NoticeGiven(_join_hint(text, hint), stands)
        case _:
            assert_never(push)


def _aged(prompt: Prompt, boot_s: float) -> Prompt:
    """What came while we stood still (Ctrl-Z, say) is as old as it is. Where its time would be over, our clock is not
    the daemon's (time_namespaces(7)); else its end has come, too.
    """
    late_s = prompt.remaining_s - (prompt.deadline_s - boot_s)
    if not 0 < late_s < prompt.remaining_s:
        return prompt
    return msgspec.structs.replace(prompt, remaining_s=prompt.remaining_s - late_s, age_s=prompt.age_s + late_s)


def _name_user(reason: str, by_uid: int, find_user: FindUser) -> str:
    """The reason tells at most the number."""
    name = find_user(by_uid) or f"uid {by_uid}"
    return f"{reason.removesuffix(f' by uid {by_uid}')} by {name}"


def event_of_end(error: SnitchError) -> ConnectionLost:
    """Of a connection that is tried again. A daemon comes back by itself; only a person can make a place."""
    if isinstance(error, Busy):
        return ConnectionLost(_join_hint(str(error), error.hint), is_gone=False)
    return ConnectionLost(str(error))


def events_of_replies(
    given: Answers, taken: RuleWritten | None, refused: list[tuple[Answer, SnitchError]]
) -> Iterator[NoticeGiven | AnswerRefused]:
    """What became of answers, once all have their reply; why some were refused comes last.

    `taken` is the last reply to one that was not: whoever saves one rule saves all that could not be saved before.
    """
    if taken:
        yield _notice_of_taken(given, taken)
    for answer, error in refused:
        hint = error.hint if answer.rule else ""  # else it is meant for someone who typed a command
        yield AnswerRefused(answer.prompt_id, _join_hint(str(error), hint))


def _notice_of_taken(given: Answers, written: RuleWritten) -> NoticeGiven:
    """That our answer was taken; or, which matters more, that its rule is not saved."""
    if written.problem:
        return NoticeGiven(_join_hint(written.problem, written.hint))
    return NoticeGiven(tell_taken(given, written.rule))


def _join_hint(text: str, hint: str) -> str:
    """A message and its hint in one line."""
    return f"{text} ({hint})" if hint else text
