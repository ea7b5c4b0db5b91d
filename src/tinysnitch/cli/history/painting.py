"""Prints tables: on a terminal with its width and its weights of letters, else as plain lines."""

import os
import shutil
from collections.abc import Iterable

from tinysnitch.cli.output import find_output, print_lines
from tinysnitch.tui.encoding import fit_encoding
from tinysnitch.view.history.table import Cell, Table, lay_out
from tinysnitch.view.span import Weight, text_of

_STYLES = {Weight.PLAIN: "", Weight.STRONG: "bold", Weight.QUIET: "dim"}


def is_terminal() -> bool:
    return os.isatty(find_output())


def print_table(table: Table) -> None:
    if not is_terminal():
        print_lines(text_of(line) for line in lay_out(table, None))
        return
    _paint(lay_out(table, shutil.get_terminal_size().columns))


def _paint(lines: Iterable[Cell]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)  # knows the colours, and NO_COLOR
    for line in lines:
        parts = ((fit_encoding(span.text, console.encoding), _STYLES[span.weight]) for span in line)
        console.print(Text.assemble(*parts), no_wrap=True, overflow="ignore", crop=False)
