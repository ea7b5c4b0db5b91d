"""What a prompt is told, and what it then wants done."""

import msgspec

from tinysnitch.core.choice import Choice
from tinysnitch.core.prompt import Prompt


class QuestionOpened(msgspec.Struct, frozen=True):
    """A question, or the same one again with another count."""

    prompt: Prompt


class QuestionClosed(msgspec.Struct, frozen=True):
    prompt_id: int
    reason: str


class AnswerRefused(msgspec.Struct, frozen=True):
    """The daemon did not take our answer."""

    prompt_id: int
    reason: str


class ConnectionLost(msgspec.Struct, frozen=True):
    """The daemon is gone, and its questions with it as far as we can know; or has no place for us."""

    reason: str
    is_gone: bool = True


class DaemonGreeted(msgspec.Struct, frozen=True):
    """The daemon is there; its open questions follow."""

    is_for_user: bool = False  # our answers are rules for our own user alone


class NoticeGiven(msgspec.Struct, frozen=True):
    """There is something to say: rules that did not load, or what became of our answers."""

    text: str
    stands: bool | None = None  # true: from now on; false: what stood is over


class ScreenRegained(msgspec.Struct, frozen=True):
    """Something else had the screen for a while (Ctrl-Z): the question is new to whoever looks at it."""


class KeyPressed(msgspec.Struct, frozen=True):
    name: str  # see view/keys.py
    text: str = ""  # the character that it types, where its name does not tell
    is_click: bool = False  # on the place that shows it: nothing that was typed


class TextPasted(msgspec.Struct, frozen=True):
    """From the clipboard or the selection: anything."""

    text: str


Event = (
    QuestionOpened
    | QuestionClosed
    | AnswerRefused
    | ConnectionLost
    | DaemonGreeted
    | NoticeGiven
    | ScreenRegained
    | KeyPressed
    | TextPasted
)


class Answer(msgspec.Struct, frozen=True):
    """Exactly one of choice and rule."""

    prompt_id: int
    choice: Choice | None
    rule: str | None = None  # the line as it was edited by hand
    holds: str = ""  # how long, in words: for the news that it was taken


class Answers(msgspec.Struct, frozen=True):
    """What one key answers: a question, or several of one program, each with an answer of its own, in this order."""

    answers: tuple[Answer, ...]


class Leave(msgspec.Struct, frozen=True):
    """End the prompt; questions stay open."""


Effect = Answers | Leave
