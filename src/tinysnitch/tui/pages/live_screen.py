"""Draws the live page."""

from rich.text import Text

from tinysnitch.core.model.verdict import Verdict
from tinysnitch.tui.pages.list_screen import MARGIN, list_height, render_list
from tinysnitch.tui.pages.table import GAP, Column, Row, cell
from tinysnitch.tui.rows import BLUE, NO, QUIET, YES
from tinysnitch.view.live.live_page import SORT_KEY, LivePage
from tinysnitch.view.live.live_view import LiveRow, LiveView, present_live
from tinysnitch.view.live.tree import Sort
from tinysnitch.view.lookup import Lookup
from tinysnitch.view.pages.list_frame import ListFrame

MARK = "↓"  # behind the title of the column that the rows are sorted by
NUMBER = 5  # columns of a number with its title
VERDICT = 5
MOST_NAME = 60
LINE_FROM, MOST_LINE = 11, 60  # columns of the line of the last minutes
BOTH_FROM, COUNT_FROM, TOTAL_FROM, TOTALS_FROM = 36, 50, 60, 100  # columns of a page from which on it has more numbers
RULE_FROM = 110  # and from which on it names rules
_STYLES = {Verdict.ALLOW.value: YES, Verdict.DENY.value: NO}


class Widths:
    """What has room in a page of so many columns."""

    def __init__(self, room: int) -> None:
        self.has_both = room >= BOTH_FROM
        self.has_count = room >= COUNT_FROM
        self.totals = (room >= TOTAL_FROM) + (room >= TOTALS_FROM)
        numbers = 1 + self.has_both + self.has_count + self.totals
        rest = room - numbers * (NUMBER + GAP) - VERDICT - GAP
        self.rule = rest // 3 if room >= RULE_FROM else 0
        rest -= self.rule + GAP if self.rule else 0
        line = min(MOST_LINE, rest * 2 // 7) if rest * 2 // 7 >= LINE_FROM else 0
        self.name = rest - (line + GAP if line else 0)
        if self.name > MOST_NAME and self.rule:
            self.rule += self.name - MOST_NAME
            self.name = MOST_NAME
        self.line = line


def draw_live(page: LivePage, lookup: Lookup, now: float, width: int, height: int) -> list[Text]:
    """The page, of which only the rows that have room are made."""
    widths = Widths(width - 2 * MARGIN)

    def room_for(frame: ListFrame) -> int:
        return list_height(frame, width, height) - 1  # the titles

    return render_live(present_live(page, now, lookup, room_for, widths.line), widths, width, height)


def render_live(view: LiveView, widths: Widths, width: int, height: int) -> list[Text]:
    columns = _columns(widths, view.sort)
    rows = [_row_of(row, widths) for row in view.rows]
    return render_list(view.frame, columns, rows, width, height)


def _columns(widths: Widths, sort: Sort) -> tuple[Column, ...]:
    def titled(text: str, by: Sort) -> str:
        return f"{text}{MARK}" if sort is by else text

    def number(title: str, by: Sort) -> Column:
        return Column(title, is_right=True, fixed=NUMBER, key=f"{SORT_KEY}{by.value}")

    totals: tuple[Column, ...]
    if widths.totals == 2:
        totals = (number(titled("in", Sort.TOTAL), Sort.TOTAL), number("out", Sort.TOTAL))
    else:
        totals = (number(titled("all", Sort.TOTAL), Sort.TOTAL),)[: widths.totals]
    last = Column(titled("last 5 min", Sort.LAST), fixed=widths.line, key=f"{SORT_KEY}{Sort.LAST.value}")
    return (
        Column(titled("program", Sort.NAME), fixed=widths.name, key=f"{SORT_KEY}{Sort.NAME.value}"),
        number(titled("in/s", Sort.RATE), Sort.RATE),
        *((number("out/s", Sort.RATE),) if widths.has_both else ()),
        *totals,
        *((number(titled("conn", Sort.CONNECTIONS), Sort.CONNECTIONS),) if widths.has_count else ()),
        *((last,) if widths.line else ()),
        Column("", fixed=VERDICT),
        *((Column("rule", fixed=widths.rule),) if widths.rule else ()),
    )


def _row_of(row: LiveRow, widths: Widths) -> Row:
    shown = [(row.name, ""), (cell(row.rate_in), "")]
    shown += [(cell(row.rate_out), "")] if widths.has_both else []
    totals = (row.bytes_in, row.bytes_out) if widths.totals == 2 else (row.bytes,)[: widths.totals]
    shown += [(cell(total), QUIET) for total in totals]
    shown += [(cell(row.connections), QUIET)] if widths.has_count else []
    shown += [(cell(row.line), BLUE)] if widths.line else []
    shown += [(cell(row.verdict), _STYLES.get(row.verdict, ""))]
    shown += [(cell(row.rule), QUIET)] if widths.rule else []
    return Row(row.key, tuple(one for one, _style in shown), styles=tuple(style for _one, style in shown))
