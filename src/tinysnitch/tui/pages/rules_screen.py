"""Draws the page of the rules."""

from rich.text import Text

from tinysnitch.core.model.verdict import Verdict
from tinysnitch.tui.pages.list_screen import render_list
from tinysnitch.tui.pages.table import Column, Row, cell
from tinysnitch.tui.rows import NO, QUIET, WARNING, YES
from tinysnitch.view.pages.rules_view import RuleRow, RulesView

_COLORS = {Verdict.ALLOW: YES, Verdict.DENY: NO, Verdict.ASK: WARNING}
_COLUMNS = (
    Column("rule"),
    Column("remote", least=10),
    Column("port", least=5, most=12),
    Column("protocol", most=8, is_dispensable=True),
    Column("program", least=12),
    Column("", least=8, is_dispensable=True),
)


def render_rules(view: RulesView, width: int, height: int) -> list[Text]:
    return render_list(view.frame, _COLUMNS, [_row_of(row) for row in view.rows], width, height)


def _row_of(row: RuleRow) -> Row:
    style = QUIET if row.is_over else ""
    return Row(
        row.key,
        (cell(row.verdict.value), row.remote, cell(row.port), cell(row.protocol), row.program, cell(row.remarks)),
        styles=(style or _COLORS[row.verdict], style, style, style, style, QUIET),
    )
