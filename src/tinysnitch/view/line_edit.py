"""A rule line while it is edited by hand: a text with a cursor, and its first error."""

import re

import msgspec

from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.errors import ARGUMENT, RuleSyntaxError
from tinysnitch.core.model.process import uid_of
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.answer import rule_for_choice
from tinysnitch.core.prompts.choice import Choice, Lifetime
from tinysnitch.core.rules.quoting import split_words
from tinysnitch.core.rules.rule_line import format_rule, parse_rule
from tinysnitch.view.keys import is_chord

MAX_LENGTH = 16_384  # characters; more are dropped
_BLANKS = re.compile(r"\s+")  # tabs, line ends and Unicode blanks, too
_UNSAID = {Lifetime.ONCE: "once", Lifetime.QUIT: "until it quits"}
_UNTIL = "until="
_SPELLED = {"question_mark": "?", "space": " "}  # characters that front ends may report by a name


class LineEdit(msgspec.Struct, frozen=True):
    text: str
    cursor: int  # 0 to the text's length
    uid: int | None = None  # the user that the rule must name, if it may be for that user alone
    remark: str = ""  # what a line cannot say
    is_answer: bool = True  # False: any rule, also one that asks

    def press(self, name: str, typed: str = "") -> "LineEdit":
        """The line after a key; `typed` is the key's character, if its name does not tell."""
        before, after = self.text[: self.cursor], self.text[self.cursor :]
        match name:
            case "left":
                return self._at(self.cursor - 1)
            case "right":
                return self._at(self.cursor + 1)
            case "home" | "ctrl+a" | "up":
                return self._at(0)
            case "end" | "ctrl+e" | "down":
                return self._at(len(self.text))
            case "backspace" | "ctrl+h":
                return self._with(before[:-1] + after, len(before[:-1]))
            case "delete":
                return self._with(before + after[1:], self.cursor)
            case "ctrl+u":
                return self._with(after, 0)
            case "ctrl+k":
                return self._with(before, self.cursor)
            case "ctrl+w":  # a word, as in a shell
                kept = before[: before.rstrip(" ").rfind(" ") + 1]
                return self._with(kept + after, len(kept))
        char = typed or _SPELLED.get(name, name)
        return self._insert(char) if len(char) == 1 and not is_chord(name) else self

    def paste(self, text: str) -> "LineEdit":
        """The line with text from the clipboard inserted. That may hold anything: line breaks become blanks, and what
        cannot be seen is dropped."""
        return self._insert(_BLANKS.sub(" ", text[:MAX_LENGTH].strip("\r\n")))

    def rewrite(self, text: str, cursor: int) -> "LineEdit":
        """The line with another text and cursor, of which only what can be seen is kept."""
        return self._with("", 0)._insert(text)._at(cursor)

    def _at(self, cursor: int) -> "LineEdit":
        return self._with(self.text, min(max(cursor, 0), len(self.text)))

    def _insert(self, text: str) -> "LineEdit":
        """Insert what can be seen of the text: in a rule anything else must be escaped."""
        shown = "".join(filter(str.isprintable, text))[: max(0, MAX_LENGTH - len(self.text))]
        return self._with(self.text[: self.cursor] + shown + self.text[self.cursor :], self.cursor + len(shown))

    def _with(self, text: str, cursor: int) -> "LineEdit":
        return msgspec.structs.replace(self, text=text, cursor=cursor)


def begin_edit(connection: Connection, choice: Choice, wall_s: float, draft: str = "") -> LineEdit:
    """Begins with the draft, or the rule line that is shown. No line can say `once` or `until it quits`: then it begins
    with 9 minutes, and a remark says so."""
    unsaid, remark = _UNSAID.get(choice.lifetime), ""
    if unsaid and not draft:
        choice = msgspec.structs.replace(choice, lifetime=Lifetime.NINE_MINUTES)
        remark = f"no line can say {unsaid}: this one began with 9 minutes"
    line = draft or format_rule(rule_for_choice(connection, choice, wall_s))
    return LineEdit(line, len(line), uid_of(connection.attribution) if choice.is_for_user else None, remark)


def find_fault(line: LineEdit, wall_s: float) -> RuleSyntaxError | None:
    """Why the line cannot be an answer at this moment; None if it can."""
    try:
        rule = parse_rule(line.text)
    except RuleSyntaxError as error:
        return error
    if rule.verdict is Verdict.ASK and line.is_answer:
        return RuleSyntaxError(ARGUMENT, 1, 1, "`ask` is not an answer", "write allow or deny")
    if rule.until_s is not None and rule.until_s <= wall_s:
        column = next(word.column for word in split_words(line.text) if word.text.startswith(_UNTIL))
        return RuleSyntaxError(ARGUMENT, 1, column, "its time is over", f"write a later one, or leave {_UNTIL} out")
    if line.uid is not None and (rule.user is None or (rule.user.isdigit() and rule.user != str(line.uid))):
        hint = f"write user={line.uid} behind the verdict"
        return RuleSyntaxError(ARGUMENT, 1, 1, "your rules must be for you alone", hint)
    return None
