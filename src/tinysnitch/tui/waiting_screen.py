"""Lays out the screen without a question for a terminal: what is wrong, news, and the decisions that were made last.

The list has all rows that are left, the newest first, and scrolls with the row that is selected. Below it stands what
the keys would write for that one.
"""

from typing import NamedTuple

from rich.text import Text

from tinysnitch.core.model.verdict import Verdict
from tinysnitch.tui.prompt_screen import MAX_TOLD_ROWS, behind_label, edit_rows
from tinysnitch.tui.rows import (
    CURSOR,
    GAP,
    NO,
    QUIET,
    STRONG,
    WARNING,
    YES,
    as_key,
    flow,
    join,
    pieces_of,
    place,
    room_of,
    told_rows,
    wrap,
)
from tinysnitch.view.escape import cell_width, shorten_middle, shorten_words
from tinysnitch.view.prompt_view import PromptView
from tinysnitch.view.recent_view import RecentRow, RecentView, SelectedView
from tinysnitch.view.span import fit_cell, text_of

WIDE = 60  # columns from which on a row begins with its time, and names the protocol
TOLD_WHY = 30  # columns at least for what decided; with fewer it is left out
LABEL_WIDTH = 12
VERDICT_WIDTH = 5
MAX_RULE_ROWS = 3


class _Columns(NamedTuple):
    """How wide each column of the list is. Names are whole where that is possible: what decided has the rest."""

    program: int
    remote: int
    port: int
    times: int
    why: int


def render_waiting(view: PromptView, width: int, height: int) -> Text:
    """The whole screen, in at most `height` rows."""
    room = room_of(width)
    head, keys = _head(view, room), _keys(view, room)
    if view.edit:
        spare = height - len(keys) - sum(bool(row.plain) for row in head)
        return place([*head, Text(), *edit_rows(view.edit, room, spare), Text(), *keys], width, height)
    if view.recent is None or not view.recent.rows:
        return place([*head, Text(), *keys], width, height)
    told = _told(view.recent.selected, room) if view.recent.selected else []
    blank = [Text()] if height >= len(head) + len(told) + len(keys) + 6 else []
    around = [*head, *blank, *blank, *told, *(blank if told else []), *keys]
    rows = _list_rows(view.recent, room, max(1, height - len(around)))
    return place([*head, *blank, *rows, *blank, *told, *(blank if told else []), *keys], width, height)


def _head(view: PromptView, room: int) -> list[Text]:
    rows = [Text(shorten_middle(view.title, room), STRONG)]
    for warning in view.warnings:
        rows += [Text(), *told_rows(f"! {warning}", room, MAX_TOLD_ROWS, WARNING)]
    if view.notice:
        rows += [Text(), *told_rows(view.notice, room, MAX_TOLD_ROWS)]
    return rows


def _keys(view: PromptView, room: int) -> list[Text]:
    is_ready = view.is_ready or view.recent is None or view.recent.selected is None
    return [row for hints in view.everyday for row in flow(pieces_of(hints, room, is_ready=is_ready), room)]


def _told(selected: SelectedView, room: int) -> list[Text]:
    """What decided, and what `y` would write."""
    margin = LABEL_WIDTH if room >= WIDE else 0
    why = selected.decided_by or f"no rule: {selected.reason}"
    decided = told_rows(why if margin else f"decided by {why}", room - margin, MAX_RULE_ROWS, "" if margin else QUIET)
    rule = wrap(selected.rule, room - margin, MAX_RULE_ROWS) if selected.rule else []
    return [*behind_label("decided by", decided, margin), *behind_label("rule", rule, margin)]


def _list_rows(recent: RecentView, room: int, height: int) -> list[Text]:
    """So many rows of the list that the selected one is among them, and blank ones below a short list."""
    at = recent.at or 0
    first = max(0, min(at - height // 2, len(recent.rows) - height))
    shown = recent.rows[first : first + height]
    columns = _columns_of(recent.rows, room)
    rows = [_list_row(row, room, columns, is_selected=first + index == recent.at) for index, row in enumerate(shown)]
    return [*rows, *[Text()] * (height - len(rows))]


def _columns_of(rows: tuple[RecentRow, ...], room: int) -> _Columns:
    """The widths that fit all rows, so that scrolling moves no column."""
    program = min(max(cell_width(row.program) for row in rows), room // 4)
    port = max(cell_width(_port_of(row, room)) for row in rows)
    count = max(cell_width(_count_of(row)) for row in rows)
    left = room - cell_width(_head_of(rows[0], room).plain) - program - len(" → ") - 1 - port - count
    remote = min(max(cell_width(text_of(row.remote)) for row in rows), left)
    why = left - remote - GAP
    return _Columns(program, remote, port, count, why) if why >= TOLD_WHY else _Columns(program, left, port, count, 0)


def _head_of(row: RecentRow, room: int) -> Text:
    """What stands before the program."""
    verdict = (f"{row.verdict.value:<{VERDICT_WIDTH}}", YES if row.verdict is Verdict.ALLOW else NO)
    return Text.assemble((f"{row.time}  ", QUIET), verdict, "  ") if room >= WIDE else Text.assemble(verdict, " ")


def _port_of(row: RecentRow, room: int) -> str:
    return row.port if room >= WIDE else row.port.partition(" ")[0]


def _count_of(row: RecentRow) -> str:
    return f" x{row.count}" if row.count > 1 else ""


def _list_row(row: RecentRow, room: int, columns: _Columns, *, is_selected: bool) -> Text:
    text = Text.assemble(
        _head_of(row, room),
        _padded(Text(shorten_middle(row.program, columns.program)), columns.program),
        " ← " if row.is_inbound else " → ",
        _padded(join(fit_cell(row.remote, max(1, columns.remote))), columns.remote),
        " ",
        _padded(Text(_port_of(row, room)), columns.port),
        _padded(Text(_count_of(row), QUIET), columns.times),
    )
    if columns.why:
        text.append(f"{' ' * GAP}{shorten_words(row.why, columns.why)}", QUIET)
    if is_selected:
        text = Text.assemble((_padded(text, room).plain, CURSOR))
    return as_key(text, row.key)


def _padded(text: Text, width: int) -> Text:
    """The text, filled with blanks to a width. Counted here, since Rich counts no column for some characters."""
    return text.append(" " * max(0, width - cell_width(text.plain)))
