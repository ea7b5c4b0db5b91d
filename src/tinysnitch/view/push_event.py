"""What the daemon pushes, as the event that a prompt's state takes."""

from typing import assert_never

from tinysnitch.protocol.messages import Notice, PromptClosed, PromptShown, Push, RuleWritten
from tinysnitch.view.answer_words import tell_all_taken, tell_taken
from tinysnitch.view.lookup import FindUser
from tinysnitch.view.prompt_events import Answer, Answers, NoticeGiven, QuestionClosed, QuestionOpened


def event_of_push(push: Push, find_user: FindUser) -> QuestionOpened | QuestionClosed | NoticeGiven:
    match push:
        case PromptShown(prompt):
            return QuestionOpened(prompt)
        case PromptClosed(prompt_id, reason, by_uid):
            return QuestionClosed(prompt_id, reason if by_uid is None else _name_user(reason, by_uid, find_user))
        case Notice(text, hint, stands):
            return NoticeGiven(join_hint(text, hint), stands)
        case _:
            assert_never(push)


def _name_user(reason: str, by_uid: int, find_user: FindUser) -> str:
    """The reason tells at most the number."""
    name = find_user(by_uid) or f"uid {by_uid}"
    return f"{reason.removesuffix(f' by uid {by_uid}')} by {name}"


def notice_of_answer(written: RuleWritten, effect: Answer | Answers) -> NoticeGiven:
    """That our answer was taken; or, which matters more, that its rule is not saved.

    Of many answers it is the last that was taken: whoever saves one saves all that could not be saved before.
    """
    if written.problem:
        return NoticeGiven(join_hint(written.problem, written.hint))
    if isinstance(effect, Answers):
        return NoticeGiven(tell_all_taken(effect, written.rule))
    return NoticeGiven(tell_taken(effect, written.rule))


def join_hint(text: str, hint: str) -> str:
    """A message and its hint in one line."""
    return f"{text} ({hint})" if hint else text
