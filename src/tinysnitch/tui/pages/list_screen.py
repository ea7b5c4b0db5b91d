"""Lays out a page with a list: title and filter, the list, what is told of the selected row, news, and the keys.

The list has all rows that are left. In a small terminal blank rows go first, then what is told, then the keys but one
row.
"""

from collections.abc import Callable, Sequence

from rich.text import Text

from tinysnitch.tui.pages.table import GAP, Column, Row, list_rows
from tinysnitch.tui.prompt_screen import LABELLED, behind_label, edit_rows
from tinysnitch.tui.rows import CURSOR, QUIET, STRONG, WARNING, at_both_ends, flow, pieces_of, told_rows, wrap
from tinysnitch.view.escape import cell_width, shorten_end, wrap_parts
from tinysnitch.view.pages.list_frame import ListFrame

MARGIN = 1  # columns at each side
LEAST_ROWS = 4  # of the list with its titles
BLANKS_FROM = 18  # rows of a page from which on it has blank ones
MAX_FACT_ROWS = 3  # of one fact
LABEL_WIDTH = 12


def render_list(
    frame: ListFrame, columns: Sequence[Column], rows: Sequence[Row], width: int, height: int
) -> list[Text]:
    """The page, in at most `height` rows."""
    return render_frame(frame, lambda room, space: list_rows(columns, rows, room, space, frame.at), width, height)


Make = Callable[[int, int], list[Text]]  # the list, for so many columns and rows


def render_frame(frame: ListFrame, make: Make, width: int, height: int) -> list[Text]:
    """The page with a list that is made to fit."""
    room = max(1, width - 2 * MARGIN)
    above, below = _around(frame, room, height)
    page = [*above, *make(room, max(1, height - len(above) - len(below))), *below][:height]
    for row in page:
        row.pad_left(MARGIN)
    return page


def list_height(frame: ListFrame, width: int, height: int) -> int:
    """The rows that the list has, with its titles."""
    above, below = _around(frame, max(1, width - 2 * MARGIN), height)
    return max(1, height - len(above) - len(below))


def _around(frame: ListFrame, room: int, height: int) -> tuple[list[Text], list[Text]]:
    """The rows above the list, and those below it."""
    blank = [Text()] if height >= BLANKS_FROM else []
    warnings = [row for text in frame.warnings for row in told_rows(f"! {text}", room, 2, WARNING)]
    above = [*_title_rows(frame, room, 2 if blank else 1), *warnings, *blank]
    keys = flow(pieces_of(frame.hints, room, is_ready=True), room)
    told = _told(frame, room, max(0, height - len(above) - len(keys) - LEAST_ROWS))
    return above, [*blank, *told, *(blank if told else []), *keys]


def _title_rows(frame: ListFrame, room: int, height: int) -> list[Text]:
    """What is filtered stands behind the title, whose parts between commas are not torn apart."""
    shown = Text()
    if frame.is_filtering:
        shown = Text.assemble(("/", QUIET), frame.filter, (" ", CURSOR))
    elif frame.filter:
        shown = Text(f"/{frame.filter}", STRONG)
    first, *more = wrap_parts(frame.title, room - cell_width(shown.plain) - GAP, height)
    return [at_both_ends(Text(first, STRONG), shown, room), *(Text(row, STRONG) for row in more)]


def _told(frame: ListFrame, room: int, height: int) -> list[Text]:
    rows: list[Text] = []
    if frame.edit:
        rows = edit_rows(frame.edit, room, height)
    margin = LABEL_WIDTH if room >= LABELLED else 0
    for line in frame.facts:
        rows += behind_label(
            shorten_end(line.label, margin - 1), wrap(line.spans, room - margin, MAX_FACT_ROWS), margin
        )
    if frame.notice:
        rows += told_rows(frame.notice, room, 2)
    return rows[:height]
