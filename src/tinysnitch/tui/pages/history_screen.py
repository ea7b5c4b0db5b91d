"""Draws the pages that look back: the history, and the names."""

from datetime import datetime
from functools import lru_cache

from rich.text import Text

from tinysnitch.tui.pages.list_screen import render_frame
from tinysnitch.tui.rows import CURSOR, as_key, join
from tinysnitch.view.escape import cell_width
from tinysnitch.view.history.table import Cell, Table, lay_out
from tinysnitch.view.lookup import Lookup
from tinysnitch.view.pages.history_page import HistoryPage
from tinysnitch.view.pages.history_page_view import HistoryPageView, present_history_page
from tinysnitch.view.pages.names_page import NamesPage, NamesPageView, present_names_page


def draw_history(page: HistoryPage, lookup: Lookup, now: float, width: int, height: int) -> list[Text]:
    return render_table(present_history_page(page, now, lookup, datetime.now().astimezone()), width, height)


def draw_names(page: NamesPage, now: float, width: int, height: int) -> list[Text]:
    return render_table(present_names_page(page, now, datetime.now().astimezone()), width, height)


def render_table(view: HistoryPageView | NamesPageView, width: int, height: int) -> list[Text]:
    def make(room: int, space: int) -> list[Text]:
        return table_rows(view.table, view.keys, view.frame.at, room, space)

    return render_frame(view.frame, make, width, height)


def table_rows(table: Table, keys: tuple[str, ...], at: int | None, room: int, height: int) -> list[Text]:
    """The head, and so many rows that the selected one is among them, with blank ones below a short table."""
    if not table.rows:
        return [Text()] * height
    head, *lines = _lay_out(table, room)
    most = max(1, height - 1)
    first = max(0, min((at or 0) - most // 2, len(lines) - most))
    rows = [join(head)]
    for number, line in enumerate(lines[first : first + most], first):
        row = join(line)
        row.append(" " * max(0, room - cell_width(row.plain)))
        rows.append(as_key(Text(row.plain, CURSOR) if number == at else row, keys[number]))
    return [*rows, *[Text()] * (height - len(rows))]


@lru_cache(maxsize=2)  # scrolling changes neither
def _lay_out(table: Table, room: int) -> list[Cell]:
    return lay_out(table, room)
