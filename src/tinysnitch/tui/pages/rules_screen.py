"""Draws the page of the rules."""

from datetime import datetime

from rich.text import Text

from tinysnitch.core.model.verdict import Verdict
from tinysnitch.tui.pages.list_screen import render_list
from tinysnitch.tui.pages.table import Column, Row, cell
from tinysnitch.tui.rows import NO, QUIET, WARNING, YES
from tinysnitch.view.pages.rules_page import RulesPage
from tinysnitch.view.pages.rules_view import RuleRow, RulesView, present_rules

_COLORS = {Verdict.ALLOW: YES, Verdict.DENY: NO, Verdict.ASK: WARNING}
REMARKS_FROM = (
    96  # columns of a terminal from which on remarks have one; what is told of the selected row has them, too
)
_COLUMNS = (
    Column("rule"),
    Column("remote", least=10),
    Column("port", least=5, most=12),
    Column("protocol", most=8, is_dispensable=True),
    Column("program", least=12),
    Column("used", is_right=True, is_dispensable=True),
    Column("last", is_dispensable=True),
    Column("", least=8, is_dispensable=True),
)


def render_rules(view: RulesView, width: int, height: int) -> list[Text]:
    columns = _COLUMNS if width >= REMARKS_FROM else _COLUMNS[:-1]
    return render_list(view.frame, columns, [_row_of(row) for row in view.rows], width, height)


def _row_of(row: RuleRow) -> Row:
    style = QUIET if row.is_over else ""
    texts = (row.used, row.last, row.remarks)
    return Row(
        row.key,
        (
            cell(row.verdict.value),
            row.remote,
            cell(row.port),
            cell(row.protocol),
            row.program,
            *map(cell, texts),
        ),
        styles=(style or _COLORS[row.verdict], *[style] * 5, QUIET, QUIET),
    )


def draw_rules(page: RulesPage, now: float, width: int, height: int) -> list[Text]:
    return render_rules(present_rules(page, now, datetime.now().astimezone()), width, height)
