"""A rule line that is being edited, as it is shown: escaped, with its cursor and its first error."""

import msgspec

from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.core.rules.secret_args import has_secret
from tinysnitch.view.answer_notice import WHILE_IT_RUNS
from tinysnitch.view.escape import ELLIPSIS, cell_width, escape_text
from tinysnitch.view.line_edit import LineEdit, find_fault

SECRET_IN_LINE = "its arguments hold what looks like a secret"


class EditView(msgspec.Struct, frozen=True):
    before: str  # the text before the cursor
    at: str  # the character under it; a blank at the end of the line
    after: str
    fault: str = ""  # why Enter does nothing; "" if it answers
    hint: str = ""  # how to correct the fault; without a fault, what the line cannot say
    column: int = 0  # of the fault in the shown line, from 1
    lifetime: str = ""  # how long the rule holds, if there is no fault
    line: str = ""  # the line as it is, not escaped
    cursor: int = 0  # in `line`

    @property
    def text(self) -> str:
        return f"{self.before}{self.at}{self.after}"


def present_edit(line: LineEdit, wall_s: float, *, is_guest: bool = False) -> EditView:
    shown = escape_text(line.text)
    start, end = _shown_length(line.text, line.cursor), _shown_length(line.text, line.cursor + 1)
    before, at, after = shown[:start], shown[start:end] or " ", shown[end:]
    fault = find_fault(line, wall_s)
    if fault is None:
        rule = parse_rule(line.text)
        timed = f"until the time in the line{f', {WHILE_IT_RUNS}' if is_guest else ''}"
        lifetime = "forever, in the rules file" if rule.until_s is None else timed
        secret = SECRET_IN_LINE if has_secret(rule.args or ()) else ""
        return EditView(
            before, at, after, lifetime=lifetime, hint=secret or line.remark, line=line.text, cursor=line.cursor
        )
    column = _shown_length(line.text, fault.column - 1) + 1
    problem = f"column {column}: {escape_text(fault.problem)}"
    return EditView(
        before,
        at,
        after,
        fault=problem,
        hint=escape_text(fault.hint),
        column=column,
        line=line.text,
        cursor=line.cursor,
    )


def fit_around_cursor(edit: EditView, width: int) -> tuple[str, str, str]:
    """What fits into `width` columns before, under and after the cursor; an ellipsis stands for what is cut off."""
    rest = f"{edit.at}{edit.after}"
    before = _cut_start(edit.before, max(width * 3 // 4, width - cell_width(rest)))
    rest = _cut_start(rest[::-1], width - cell_width(before))[::-1]
    return before, rest[: len(edit.at)], rest[len(edit.at) :]


def _cut_start(text: str, width: int) -> str:
    if cell_width(text) <= width:
        return text
    while text and cell_width(text) > width - 1:
        text = text[1:]
    return f"{ELLIPSIS}{text}"


def _shown_length(text: str, length: int) -> int:
    """How many characters the first `length` ones become when escaped. Escaping goes from left to right, so those of
    the beginning are the beginning of the escaped text."""
    return len(escape_text(text[:length]))
