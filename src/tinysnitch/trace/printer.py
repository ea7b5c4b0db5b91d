"""Writes lines in the form that was asked for, and in their place how many were lost."""

import os
import shutil
from collections.abc import Callable, Iterable

from tinysnitch.commandline.standard_streams import error_of_output
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.daemon.logs.log_output import LogOutput
from tinysnitch.output.tables import paint
from tinysnitch.protocol.log_lines import LostLine
from tinysnitch.trace.line import TraceLine, format_json, format_text, lost_line_of
from tinysnitch.trace.row import HEAD, lay_out, name_user
from tinysnitch.view.span import Span, Weight


class TracePrinter:
    def __init__(self, descriptor: int, *, as_json: bool) -> None:
        self._output = LogOutput(descriptor)
        self._told = 0  # of those that were lost
        self._write: Callable[[TraceLine | LostLine], str] = format_json if as_json else format_text
        if os.isatty(descriptor) and not as_json:
            paint_row = make_painter()
            self._write = lambda line: paint_row(lay_out(line, shutil.get_terminal_size().columns, name_user))
            self._output.write(paint_row([Span(HEAD, weight=Weight.STRONG)]).encode())
            self._output.flush()

    @property
    def has_failed(self) -> bool:
        return self._output.failure is not None

    def print(self, lines: Iterable[TraceLine | LostLine]) -> None:
        for line in lines:
            self._output.write(self._write(line).encode())
        self._output.flush()

    def tell_lost(self, unread: int, wall_s: float) -> None:
        """`unread`: for which the kernel had no room, since the start."""
        lost = unread + self._output.lost
        if lost > self._told and not self.has_failed:
            self.print([lost_line_of(lost - self._told, wall_s)])
            self._told = lost

    def close(self, unread: int) -> None:
        """Raises SnitchError if not all was written, unless the reader of a pipe has what it wanted."""
        self._output.close()
        failure = self._output.failure
        if failure and not isinstance(failure, BrokenPipeError):
            raise error_of_output(failure.strerror)
        lost = unread + (0 if failure else self._output.lost)
        if lost:
            raise SnitchError(f"{lost} lines were lost", "they came faster than they could be written")


def make_painter() -> Callable[[Iterable[Span]], str]:
    """What makes a row to what the terminal shows in the colours that all tables have."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)  # knows the colours, and NO_COLOR

    def paint_row(row: Iterable[Span]) -> str:
        with console.capture() as painted:
            console.print(paint(tuple(row), console.encoding), end="")
        return painted.get()

    return paint_row
