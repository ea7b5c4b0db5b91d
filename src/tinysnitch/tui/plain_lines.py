r"""Renders a prompt's view as plain lines, in the order in which they are best read aloud.

A line that is edited is shown in place on any terminal, even a dumb one: by its text, blanks and `\r` alone.
"""

from tinysnitch.view.edit_view import EditView, fit_around_cursor
from tinysnitch.view.escape import cell_width, shorten_middle
from tinysnitch.view.group_view import GroupView, ShownRow
from tinysnitch.view.help_view import HelpRow
from tinysnitch.view.prompt_view import PromptView
from tinysnitch.view.span import format_time_left, text_of

MAX_VALUE = 400  # columns of a fact; nobody listens to more
INDENT = 2  # columns before the names of a list
MAX_RULE = 800  # columns of a rule


def question_lines(view: PromptView) -> list[str]:
    warnings = [f"warning: {warning}" for warning in view.warnings]
    title = f"{view.waiting}: {shorten_middle(view.title, MAX_VALUE)}"
    return ["", title, *fact_lines(view), *warnings, f"{view.why}; {_time_left(view)}", *rule_lines(view)]


def fact_lines(view: PromptView) -> list[str]:
    """The facts that are known so far."""
    return [f"{line.label}: {shorten_middle(line.text, MAX_VALUE)}" for line in view.lines if not line.is_pending]


def rule_lines(view: PromptView) -> list[str]:
    """The rules that y would write (n writes them with deny, if none is shown for it), and how long they hold; before
    these, who else gets one."""
    rules = [f"rule: {shorten_middle(text_of(rule), MAX_RULE)}" for rule in view.rules]
    rules += [f"warning: {shorten_middle(view.wider, MAX_VALUE)}"] if view.wider else []
    listed = [f"answers {view.together}", *map(_list_line, view.group.rows)] if view.group else []
    return [*listed, *rules, f"holds: {view.lifetime}"]


def cursor_lines(group: GroupView) -> list[str]:
    """Where the cursor of the list is, and whether the question there is left out."""
    return [_list_line(row) for row in group.rows if row.is_cursor] or [f"at none: n is for {group.place}"]


def _list_line(row: ShownRow) -> str:
    left_out = ", left out" if row.is_left_out and row.is_first else ""
    return f"{' ' * INDENT}{text_of(row.spans)}{left_out}"


def begin_edit_lines(view: PromptView) -> list[str]:
    """The whole line, since the row in which it is edited may show only a part, and how long it holds."""
    lines = ["edit the rule; Enter answers with it, Esc goes back"]
    if view.edit and not view.edit.fault:
        lines += [f"rule: {shorten_middle(view.edit.text.rstrip(), MAX_RULE)}", f"holds: {view.edit.lifetime}"]
        lines += [view.edit.hint] if view.edit.hint else []
    return lines


def edit_lines(edit: EditView) -> list[str]:
    """Says why Enter did not answer."""
    return [edit.fault, *([edit.hint] if edit.hint else [])]


def ready_line(view: PromptView) -> str:
    """The line that is printed when keys begin to count."""
    hints = [hint for row in view.hints for hint in row if hint.label in "yngh" and not hint.is_dead]
    return "keys: " + ", ".join(f"{hint.label} {hint.text}" for hint in hints)


def help_lines(rows: tuple[HelpRow, ...], view: PromptView, *, is_guest: bool = False) -> list[str]:
    time = f"; {_time_left(view)}" if view.is_question else ""
    job = [] if is_guest else ["Ctrl-Z: stop the prompt, `fg` goes on"]  # in a guest Ctrl-Z is for the command
    return ["", *(f"{row.word}: {row.meaning}" for row in rows), *job, f"any key goes back{time}"]


def _time_left(view: PromptView) -> str:
    unit = "second" if view.seconds_left == 1 else "seconds"
    return f"{format_time_left(view.seconds_left, unit)} left, then it is denied"


def render_edit(old: EditView | None, new: EditView, width: int) -> str:
    """What to write so that the row shows the new line. If a character was typed at its end, only that is written, so
    that a screen reader reads it alone."""
    room = max(4, width - 1)  # without the last column, behind which the terminal would wrap
    if old and _is_longer_at_the_end(old, new) and cell_width(new.before) < room:
        return new.before[len(old.before) :]
    before, at, after = fit_around_cursor(new, room)
    blank = " " * (room - cell_width(f"{before}{at}{after}"))
    return f"\r{before}{at}{after}{blank}\r{before}"


def _is_longer_at_the_end(old: EditView, new: EditView) -> bool:
    return old.text == f"{old.before} " and new.text == f"{new.before} " and new.before.startswith(old.before)
