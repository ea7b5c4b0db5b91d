"""Prints tables: on a terminal with its width, its colours and its weights of letters, else as plain lines."""

import csv
import io
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from tinysnitch.output.lines import find_output, print_lines
from tinysnitch.tui.encoding import fit_encoding
from tinysnitch.view.escape import escape_text, wrap_parts
from tinysnitch.view.history.table import Cell, Table, lay_out
from tinysnitch.view.span import Weight, text_of

if TYPE_CHECKING:
    from rich.text import Text


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
        _print_painted(lines)
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


def _print_painted(lines: Iterable[Cell]) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)  # knows the colours, NO_COLOR, and a dumb terminal
    for line in lines:
        console.print(paint(line, console.encoding), no_wrap=True, overflow="ignore", crop=False)


def paint(line: Cell, encoding: str) -> "Text":
    """The line in the colours of the prompt, which can be read on black and on white."""
    from rich.text import Text

    from tinysnitch.tui.rows import NO, QUIET, STRONG, WARNING, YES

    styles = {
        Weight.STRONG: STRONG,
        Weight.QUIET: QUIET,
        Weight.GOOD: YES,
        Weight.WARNING: WARNING,
        Weight.BAD: NO,
    }
    return Text.assemble(*((fit_encoding(span.text, encoding), styles.get(span.weight, "")) for span in line))
