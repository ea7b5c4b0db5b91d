"""Turns what the daemon says into the events that a prompt's state takes."""

from collections.abc import Iterator
from typing import assert_never

import msgspec

from tinysnitch.core.model.errors import Busy, SnitchError
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.protocol.messages import Notice, PromptClosed, PromptShown, Push, RuleWritten, Undone, Welcome
from tinysnitch.view.answer_notice import tell_changed, tell_taken, tell_undone
from tinysnitch.view.lookup import FindUser
from tinysnitch.view.prompt_events import (
    Answer,
    AnswerRefused,
    Answers,
    ConnectionLost,
    ModeTold,
    NoticeGiven,
    QuestionClosed,
    QuestionOpened,
    RuleChange,
)


def event_of_push(push: Push, find_user: FindUser, boot_s: float) -> QuestionOpened | QuestionClosed | NoticeGiven:
    """The event of a push that was received at `boot_s` of the boot-time clock."""
    match push:
        case PromptShown(prompt):
            return QuestionOpened(_aged(prompt, boot_s))
        case PromptClosed(prompt_id, reason, by_uid):
            return QuestionClosed(prompt_id, reason if by_uid is None else _name_user(reason, by_uid, find_user))
        case Notice(text, hint, stands):
            return NoticeGiven(join_hint(text, hint), stands)
        case _:
            assert_never(push)


def event_of_mode(welcome: Welcome, boot_s: float) -> ModeTold:
    """The mode that a welcome tells, with what is left of it at `boot_s` of the boot-time clock."""
    ends_s = welcome.asking.ends_s
    return ModeTold(welcome.asking, None if ends_s is None else max(0.0, ends_s - boot_s))


def _aged(prompt: Prompt, boot_s: float) -> Prompt:
    """The prompt with its age and its remaining time as they are now: it may have been sent long ago, while we were
    stopped (Ctrl-Z, say). If its time seems to be over, it is left as it is: then our clock is not the daemon's
    (time_namespaces(7)), or the push that closes it follows.
    """
    late_s = prompt.remaining_s - (prompt.deadline_s - boot_s)
    if not 0 < late_s < prompt.remaining_s:
        return prompt
    return msgspec.structs.replace(prompt, remaining_s=prompt.remaining_s - late_s, age_s=prompt.age_s + late_s)


def _name_user(reason: str, by_uid: int, find_user: FindUser) -> str:
    """The reason with the user's name in place of the uid, which is all that the daemon tells."""
    name = find_user(by_uid) or f"uid {by_uid}"
    return f"{reason.removesuffix(f' by uid {by_uid}')} by {name}"


def event_of_end(error: SnitchError) -> ConnectionLost:
    """The event for the end of a connection, which is then tried again. Busy means that other clients take all places:
    its hint is shown, since only a person can close one. Without a daemon the prompt only has to wait."""
    if isinstance(error, Busy):
        return ConnectionLost(join_hint(str(error), error.hint), is_gone=False)
    return ConnectionLost(str(error))


def events_of_replies(
    given: Answers, taken: RuleWritten | None, refused: list[tuple[Answer, SnitchError]]
) -> Iterator[NoticeGiven | AnswerRefused]:
    """What became of answers, once all of them have their reply; refusals come last.

    `taken` is the last reply to an answer that was taken. It tells for all whether their rules were saved: saving one
    rule saves all that could not be saved before.
    """
    if taken:
        yield _notice_of_taken(given, taken)
    for answer, error in refused:
        hint = error.hint if answer.rule else ""  # for a choice the hint would be about a command line
        yield AnswerRefused(answer.prompt_id, join_hint(str(error), hint))


def event_of_change(wanted: RuleChange, written: RuleWritten | None, refusal: SnitchError | None) -> NoticeGiven:
    """What became of a rule that was to be added or removed. A line that was refused is told, since one that was
    written by hand stands nowhere else."""
    if refusal:
        undone = "not added" if wanted.is_added else "not taken back"
        return NoticeGiven(f"{join_hint(str(refusal), refusal.hint)}; {undone}: {wanted.line}")
    if written and written.problem:
        return NoticeGiven(join_hint(written.problem, written.hint))
    return NoticeGiven(tell_changed(written.rule if written else wanted.line, is_added=wanted.is_added))


def event_of_undo(undone: Undone | None, refusal: SnitchError | None, find_user: FindUser) -> NoticeGiven:
    """What became of the wish to take the last answer back."""
    if refusal:
        return NoticeGiven(f"nothing is taken back: {join_hint(str(refusal), refusal.hint)}")
    if undone is None:  # a daemon of another version
        return NoticeGiven("taken back")
    uid = undone.change.uid
    return NoticeGiven(tell_undone(undone, find_user(uid) or f"uid {uid}"))


def _notice_of_taken(given: Answers, written: RuleWritten) -> NoticeGiven:
    """Says that our answer was taken; or that its rule could not be saved, which matters more."""
    if written.problem:
        return NoticeGiven(join_hint(written.problem, written.hint))
    return NoticeGiven(tell_taken(given, written.rule))


def join_hint(text: str, hint: str) -> str:
    """A message and its hint in one line."""
    return f"{text} ({hint})" if hint else text
