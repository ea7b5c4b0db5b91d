"""Prints tables: on a terminal with its width and its weights of letters, else as plain lines."""

import csv
import io
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence

from tinysnitch.cli.output import find_output, print_lines
from tinysnitch.tui.encoding import fit_encoding
from tinysnitch.view.history.table import Cell, Table, lay_out
from tinysnitch.view.span import Weight, text_of
from tinysnitch.view.text import escape_text, wrap_parts

_STYLES = {Weight.PLAIN: "", Weight.STRONG: "bold", Weight.QUIET: "dim"}


def is_terminal() -> bool:
    return os.isatty(find_output())


def find_width() -> int | None:
    """That of the terminal; None: the output goes elsewhere."""
    return shutil.get_terminal_size().columns if is_terminal() else None


def print_heading(text: str) -> None:
    """Above a table on a terminal. What stands between two commas is not torn apart."""
    print_lines([*wrap_parts(text, shutil.get_terminal_size().columns), ""])


def print_table(table: Table) -> None:
    print_cells(lay_out(table, find_width()))


def print_cells(lines: Iterable[Cell]) -> None:
    if is_terminal():
        _paint(lines)
    else:
        print_lines(text_of(line) for line in lines)


def print_csv(rows: Sequence[Mapping[str, object]]) -> None:
    """The fields of the first row are the head. What could steer a terminal is escaped here, too."""
    head = [_format_csv(rows[0].keys())] if rows else []
    print_lines([*head, *(_format_csv(row.values()) for row in rows)])


def _format_csv(row: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([escape_text(str(cell)) for cell in row])
    return text.getvalue()


def _paint(lines: Iterable[Cell]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)  # knows the colours, and NO_COLOR
    for line in lines:
        parts = ((fit_encoding(span.text, console.encoding), _STYLES[span.weight]) for span in line)
        console.print(Text.assemble(*parts), no_wrap=True, overflow="ignore", crop=False)
