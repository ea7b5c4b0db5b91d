"""The events that a prompt's state takes, and the effects that it returns for the front end to carry out."""

import msgspec

from tinysnitch.core.model.asking_mode import AskingMode
from tinysnitch.core.prompts.choice import Choice
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.protocol.log_lines import ConnectionLine
from tinysnitch.protocol.messages import PromptSettings


class QuestionOpened(msgspec.Struct, frozen=True):
    """A new question; or an open one again, with another count of connections."""

    prompt: Prompt


class QuestionClosed(msgspec.Struct, frozen=True):
    prompt_id: int
    reason: str


class AnswerRefused(msgspec.Struct, frozen=True):
    """The daemon did not take our answer."""

    prompt_id: int
    reason: str


class ConnectionLost(msgspec.Struct, frozen=True):
    """The connection to the daemon ended, and its questions are dropped; or the daemon has no place for us."""

    reason: str
    is_gone: bool = True


class DaemonGreeted(msgspec.Struct, frozen=True):
    """The daemon welcomed us; its open questions follow."""

    is_for_user: bool = False  # our answers are rules for our own user alone
    settings: PromptSettings = PromptSettings()


class SettingsGiven(msgspec.Struct, frozen=True):
    """The daemon's settings of prompts have changed."""

    settings: PromptSettings


class NoticeGiven(msgspec.Struct, frozen=True):
    """News for the person: rules that did not load, or what became of our answers."""

    text: str
    stands: bool | None = None  # True: a problem that lasts; False: that problem is over; None: no such problem


class ModeTold(msgspec.Struct, frozen=True):
    """How the daemon decides what no rule covers."""

    mode: AskingMode
    left_s: float | None = None  # until people are asked again; None: no end


class ScreenRegained(msgspec.Struct, frozen=True):
    """Something else had the screen for a while (Ctrl-Z): the question counts as new."""


class KeyPressed(msgspec.Struct, frozen=True):
    name: str  # see view/keys.py
    text: str = ""  # the character that it types, if its name does not tell
    is_click: bool = False  # the key's label was clicked, and nothing was typed


class ListSized(msgspec.Struct, frozen=True):
    """What the screen has room for in the list of questions that are answered together. Without room nothing of it is
    seen, and so nothing is allowed."""

    columns: int
    rows: int


class RowPointed(msgspec.Struct, frozen=True):
    """A question of that list was clicked."""

    prompt_id: int


class TextPasted(msgspec.Struct, frozen=True):
    """Text from the clipboard or the selection, which may hold anything."""

    text: str


class LineChanged(msgspec.Struct, frozen=True):
    """The edited line was changed by other means than keys: a click moved its cursor, an input method wrote."""

    text: str
    cursor: int


class DecisionsTold(msgspec.Struct, frozen=True):
    """What was decided, the oldest first."""

    lines: tuple[ConnectionLine, ...]
    is_anew: bool = False  # all are told again: what was told before does not count


Event = (
    QuestionOpened
    | QuestionClosed
    | AnswerRefused
    | ConnectionLost
    | DaemonGreeted
    | SettingsGiven
    | NoticeGiven
    | ModeTold
    | ScreenRegained
    | KeyPressed
    | TextPasted
    | LineChanged
    | ListSized
    | RowPointed
    | DecisionsTold
)


class Answer(msgspec.Struct, frozen=True):
    """An answer to one question: either a choice or a rule edited by hand."""

    prompt_id: int
    choice: Choice | None
    rule: str | None = None
    holds: str = ""  # how long it holds, in words, for the news that it was taken


class Answers(msgspec.Struct, frozen=True):
    """The answers that one key gives, in this order: to one question, or to several of one program."""

    answers: tuple[Answer, ...]


class RuleChange(msgspec.Struct, frozen=True):
    """Have the daemon add a line to the rules file, or remove a rule."""

    line: str
    is_added: bool = True


class UndoLast(msgspec.Struct, frozen=True):
    """Have the daemon take the last answer, or the last change of a rule, back."""


class Leave(msgspec.Struct, frozen=True):
    """End the prompt, or hide its window; questions stay open."""


class KeepQuestions(msgspec.Struct, frozen=True):
    """The person is at these questions: their time begins anew."""

    prompt_ids: tuple[int, ...]


ToDaemon = Answers | KeepQuestions | RuleChange | UndoLast
Effect = ToDaemon | Leave
