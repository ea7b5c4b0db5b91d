"""Columns of a list: as wide as their longest cell, and where that is too much, the widest ones are shortened.

A cell is cut in its middle (view/span.py), so that the end of a name or a path stays.
"""

from collections.abc import Sequence

import msgspec
from rich.text import Text

from tinysnitch.tui.rows import CURSOR, QUIET, as_key, join
from tinysnitch.view.escape import cell_width
from tinysnitch.view.span import Span, fit_cell, text_of

GAP = 2  # columns between two of them
Cell = tuple[Span, ...]


class Column(msgspec.Struct, frozen=True):
    title: str
    least: int = 0  # columns that it keeps; 0: it is never shortened
    is_right: bool = False
    most: int = 1000
    is_dispensable: bool = False  # left out where there is little room, the last one first
    fixed: int = 0  # columns that it always has; 0: as its cells need
    key: str = ""  # that a click on its title presses


class Row(msgspec.Struct, frozen=True):
    key: str  # the name of the key that a click presses
    cells: tuple[Cell, ...]
    styles: tuple[str, ...] = ()  # of the cells, for which the spans have no word: a verdict's colour
    style: str = ""  # of the whole row


def cell(text: str) -> Cell:
    return (Span(text),)


def fit_columns(columns: Sequence[Column], rows: Sequence[Row], room: int) -> list[int]:
    """The width of each column; 0: it is left out."""
    widths = [
        column.fixed or min(column.most, max([cell_width(column.title), *(_width_of(row.cells[at]) for row in rows)]))
        for at, column in enumerate(columns)
    ]
    for at in reversed([at for at, column in enumerate(columns) if column.is_dispensable]):
        if _least_of(columns, widths) <= room:
            break
        widths[at] = 0
    while (excess := _whole(widths) - room) > 0:
        wide = [at for at, column in enumerate(columns) if column.least and widths[at] > column.least]
        if not wide:
            break
        widest = max(wide, key=widths.__getitem__)
        widths[widest] -= min(excess, max(1, widths[widest] // 8), widths[widest] - columns[widest].least)
    return widths


def _whole(widths: list[int]) -> int:
    shown = [width for width in widths if width]
    return sum(shown) + GAP * max(0, len(shown) - 1)


def _least_of(columns: Sequence[Column], widths: list[int]) -> int:
    return _whole([min(width, column.least or width) for column, width in zip(columns, widths, strict=True)])


def _width_of(spans: Cell) -> int:
    return cell_width(text_of(spans))


def title_row(columns: Sequence[Column], widths: list[int]) -> Text:
    row = table_row(columns, widths, Row("", tuple(cell(column.title) for column in columns), style=QUIET))
    start = 0
    for column, width in zip(columns, widths, strict=True):
        if column.key and width:
            as_key(row, column.key, start, start + width)
        start += width + GAP if width else 0
    return row


def table_row(columns: Sequence[Column], widths: list[int], row: Row, *, selected_room: int = 0) -> Text:
    """`selected_room`: of the row that is selected, which is that wide; 0: it is not."""
    text = Text()
    for at, width in enumerate(widths):
        if not width:
            continue
        style = row.styles[at] if at < len(row.styles) else ""
        shown = join(fit_cell(row.cells[at], width))
        shown.stylize(style or row.style)
        blanks = " " * max(0, width - cell_width(shown.plain))
        shown = Text.assemble(blanks, shown) if columns[at].is_right else Text.assemble(shown, blanks)
        text = Text.assemble(text, " " * GAP, shown) if text.plain else shown
    if selected_room:
        text = Text(text.plain + " " * max(0, selected_room - cell_width(text.plain)), CURSOR)
    return as_key(text, row.key) if row.key else text


def list_rows(
    columns: Sequence[Column], rows: Sequence[Row], room: int, height: int, at: int | None, *, has_titles: bool = True
) -> list[Text]:
    """So many rows that the selected one is among them, with the titles above, and blank ones below a short list."""
    widths = fit_columns(columns, rows, room)
    titles = [title_row(columns, widths)] if has_titles and rows else []
    most = max(1, height - len(titles))
    first = max(0, min((at or 0) - most // 2, len(rows) - most))
    shown = [
        table_row(columns, widths, row, selected_room=room if number == at else 0)
        for number, row in enumerate(rows[first : first + most], first)
    ]
    return [*titles, *shown, *[Text()] * (most - len(shown))]
