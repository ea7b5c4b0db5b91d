"""A table of spans, laid out for a width: columns of text give way, the widest first, and one may be drawn as bars.

On a terminal the table is as wide as the terminal at most. Without a width (a pipe, a file) nothing is cut.
"""

import msgspec

from tinysnitch.view.escape import cell_width
from tinysnitch.view.span import READABLE, Span, Weight, fit_cell, text_of

GAP = "  "
_LEAST_BAR, _MOST_BAR = 6, 30
_FULL, _HALF = "█", "▌"
_UNITS = ("kB", "MB", "GB", "TB", "PB")
Cell = tuple[Span, ...]


class Table(msgspec.Struct, frozen=True, kw_only=True):
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    left: frozenset[int]  # columns that are aligned to the left, and are shortened where there is no room
    bars: tuple[float, ...] = ()  # for each row, of the largest one; drawn behind the column `bar_behind`
    bar_behind: int = 0


def lay_out(table: Table, width: int | None) -> list[Cell]:
    """The lines, the head first. Columns that are empty in all rows are left out, and above bars stands the title of
    their column."""
    shown = [at for at in range(len(table.head)) if any(text_of(row[at]) for row in table.rows)]
    cells = {at: max(cell_width(text_of(row[at])) for row in table.rows) for at in shown}
    widths = {at: max(size, cell_width(table.head[at])) for at, size in cells.items()}
    bar = 0 if width is None else _fit(table, shown, cells, widths, width)
    lines = [_join_head(table, shown, widths, bar)]
    for number, row in enumerate(table.rows):
        lines.append(_join(table, shown, widths, row, bar, table.bars[number] if bar else None))
    return lines


def _fit(table: Table, shown: list[int], cells: dict[int, int], widths: dict[int, int], width: int) -> int:
    """Fit the columns into the terminal, and return how many the bars have. Columns of text give way; where that is not
    enough, columns at the right are left out."""
    least = 0
    if table.bars and table.bar_behind in shown:
        widths[table.bar_behind] = cells[table.bar_behind]
        least = max(_LEAST_BAR, cell_width(table.head[table.bar_behind]) - cells[table.bar_behind] - 1) + 1
    while len(shown) > 1 and _least_of(table, shown, widths) + least > width:
        if shown[-1] == table.bar_behind:
            least = 0
        del widths[shown.pop()]
    rest = width - sum(widths.values()) - len(GAP) * (len(shown) - 1)
    bar = min(max(rest, least) - 1, _MOST_BAR) if least else 0
    rest -= bar + 1 if bar else 0
    _give_way({at: size for at, size in widths.items() if at in table.left}, widths, -rest)
    return bar


def _least_of(table: Table, shown: list[int], widths: dict[int, int]) -> int:
    sizes = (min(widths[at], READABLE) if at in table.left else widths[at] for at in shown)
    return sum(sizes) + len(GAP) * (len(shown) - 1)


def _give_way(texts: dict[int, int], widths: dict[int, int], missing: int) -> None:
    """Take the missing columns of the terminal from the widest columns of text, down to a width that still tells."""
    while missing > 0 and texts and max(texts.values()) > READABLE:
        widest = max(texts, key=texts.__getitem__)
        texts[widest] -= 1
        widths[widest] -= 1
        missing -= 1


def _join_head(table: Table, shown: list[int], widths: dict[int, int], bar: int) -> Cell:
    titles: list[str] = []
    for at in shown:
        is_over_bars = bool(bar) and at == table.bar_behind
        width = widths[at] + (bar + 1) * is_over_bars
        is_left = at in table.left or is_over_bars
        titles.append(table.head[at].ljust(width) if is_left else table.head[at].rjust(width))
    return (Span(GAP.join(titles).rstrip(" "), weight=Weight.QUIET),)


def _join(
    table: Table, shown: list[int], widths: dict[int, int], row: tuple[Cell, ...], bar: int, share: float | None
) -> Cell:
    spans: list[Span] = []
    for at in shown:
        if spans:
            spans.append(Span(GAP))
        cell = fit_cell(row[at], max(1, widths[at]))
        padding = Span(" " * max(0, widths[at] - cell_width(text_of(cell))))
        spans += (*cell, padding) if at in table.left else (padding, *cell)
        if bar and at == table.bar_behind:
            drawn = "" if share is None else draw_bar(share, bar)
            spans += (Span(" "), Span(drawn, weight=Weight.QUIET), Span(" " * (bar - len(drawn))))
    while spans and not spans[-1].text.strip(" "):
        spans.pop()
    return tuple(spans)


def draw_bar(share: float, width: int) -> str:
    """A bar of at most `width` columns; of anything but nothing half a column at least."""
    halves = max(round(share * width * 2), 1 if share > 0 else 0)
    return _FULL * (halves // 2) + _HALF * (halves % 2)


def format_bytes(count: int) -> str:
    """`0`, `812 B`, `1.2 kB`, `48 MB`."""
    if count < 1000:
        return f"{count} B" if count else "0"
    size = float(count)
    for unit in _UNITS:
        size /= 1000
        if size < 999.5 or unit == _UNITS[-1]:
            break
    return f"{size:.1f} {unit}" if size < 9.95 else f"{size:.0f} {unit}"
