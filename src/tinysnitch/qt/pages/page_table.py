"""A page as a table for the window: titles, and for each row its key and cells. Made of the views of the pages."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from tinysnitch.core.model.verdict import Verdict
from tinysnitch.view.history.table import Table
from tinysnitch.view.live.live_page import SORT_KEY, LivePage
from tinysnitch.view.live.live_view import LiveRow, present_live
from tinysnitch.view.live.tree import Sort
from tinysnitch.view.lookup import Lookup
from tinysnitch.view.pages.history_page import HistoryPage
from tinysnitch.view.pages.history_page_view import present_history_page
from tinysnitch.view.pages.list_frame import ListFrame, present_frame
from tinysnitch.view.pages.list_page import ListPage
from tinysnitch.view.pages.names_page import NamesPage, present_names_page
from tinysnitch.view.pages.rules_page import RulesPage
from tinysnitch.view.pages.rules_view import present_rules
from tinysnitch.view.span import text_of

MOST_LIVE = 500  # rows of the live page
LINE = 14  # characters of the last minutes
_SORTS = (Sort.NAME, Sort.RATE, Sort.RATE, Sort.TOTAL, Sort.TOTAL, Sort.CONNECTIONS, Sort.LAST)
_NUMBERS = ("in/s", "out/s", "in", "out", "connections", "denied", "inbound", "last", "first", "used")
_COUNTS_OF_NAMES = ("questions", "names", "domains", "asked")


class PageRow(NamedTuple):
    key: str  # that a click on it presses
    cells: tuple[str, ...]
    verdict: str = ""  # allow, deny


class PageTable(msgspec.Struct, frozen=True):
    frame: ListFrame
    titles: tuple[str, ...]
    rows: tuple[PageRow, ...]
    sorts: tuple[str, ...] = ()  # the keys that a click on the titles presses; "": none

    @property
    def numbers(self) -> frozenset[int]:
        """The columns that are aligned to the right."""
        return frozenset(at for at, title in enumerate(self.titles) if title in _NUMBERS + _COUNTS_OF_NAMES)


def present_page(page: ListPage, now: float, lookup: Lookup, moment: datetime) -> PageTable:
    if page.is_help:
        frame = present_frame(page, now, title=f"keys of {page.name.value}", facts=())
        return PageTable(
            frame, ("key", "does"), tuple(PageRow("", (row.word, row.meaning)) for row in page.help_rows())
        )
    match page:
        case LivePage():
            return _of_live(page, now, lookup)
        case HistoryPage():
            view = present_history_page(page, now, lookup, moment)
            return _of_table(view.frame, view.table, view.keys)
        case RulesPage():
            return _of_rules(page, now, moment)
        case NamesPage():
            names = present_names_page(page, now, moment)
            return _of_table(names.frame, names.table, names.keys)
        case _:
            raise AssertionError(f"no table for {page.name}")


def _of_live(page: LivePage, now: float, lookup: Lookup) -> PageTable:
    view = present_live(page, now, lookup, lambda _frame: MOST_LIVE, LINE)
    rows = tuple(PageRow(row.key, _cells_of(row), row.verdict) for row in view.rows)
    return PageTable(
        view.frame,
        ("program", "in/s", "out/s", "in", "out", "connections", "last 5 min", "verdict", "rule"),
        rows,
        tuple(f"{SORT_KEY}{by.value}" for by in _SORTS),
    )


def _cells_of(row: LiveRow) -> tuple[str, ...]:
    numbers = (row.rate_in, row.rate_out, row.bytes_in, row.bytes_out, row.connections)
    return text_of(row.name), *numbers, row.line, row.verdict, row.rule


def _of_rules(page: RulesPage, now: float, moment: datetime) -> PageTable:
    view = present_rules(page, now, moment)
    rows = tuple(
        PageRow(
            row.key,
            (
                row.verdict.value,
                text_of(row.remote),
                row.port,
                row.protocol,
                text_of(row.program),
                row.used,
                row.last,
                row.remarks,
            ),
            "" if row.is_over or row.verdict is Verdict.ASK else row.verdict.value,
        )
        for row in view.rows
    )
    return PageTable(view.frame, ("rule", "remote", "port", "protocol", "program", "used", "last", "more"), rows)


def _of_table(frame: ListFrame, table: Table, keys: Sequence[str]) -> PageTable:
    """Without columns that are empty in all rows, as in a terminal."""
    rows = [tuple(map(text_of, row)) for row in table.rows]
    shown = [at for at in range(len(table.head)) if any(row[at] for row in rows)]
    return PageTable(
        frame,
        tuple(table.head[at] for at in shown),
        tuple(_row_of(key, tuple(row[at] for at in shown)) for key, row in zip(keys, rows, strict=True)),
    )


def _row_of(key: str, cells: tuple[str, ...]) -> PageRow:
    """Of a name, the last cell tells what became of it."""
    return PageRow(key, cells, Verdict.DENY.value if cells[-1].endswith("denied") else "")
