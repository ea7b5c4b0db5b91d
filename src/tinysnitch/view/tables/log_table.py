"""The log as a table: a row for each line, in columns as wide as the terminal allows.

Rows are told one by one, since new lines come while they are read; so the columns depend on the width alone. A row
with the day stands before the first line of each day but today.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime, tzinfo

from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.rules.secret_args import shorten_rule
from tinysnitch.protocol.log_lines import (
    AnswerLine,
    AskLine,
    ConnectionLine,
    LogLine,
    LostLine,
    ModeLine,
    PacketSocketLine,
    RulesLine,
    SaidLine,
    parse_log_line,
)
from tinysnitch.protocol.log_text import WITH_PORTS, format_text
from tinysnitch.view.escape import cell_width, escape_text, shorten_end, shorten_words
from tinysnitch.view.history.history_view import tell_day, tell_moment
from tinysnitch.view.history.table import GAP, Cell
from tinysnitch.view.span import Span, Weight, fit_cell, spans_of_name, text_of
from tinysnitch.view.tables.rule_columns import spans_of_path
from tinysnitch.view.tables.rules_table import VERDICTS

LEAST_WHY = 14  # columns for what decided; with fewer it is left out
_TIME_WIDTH, _EVENT_WIDTH = 8, 6
_MOST_PROGRAM, _MOST_REMOTE = 32, 44
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?Z")
_JudgedLine = ConnectionLine | SaidLine | AskLine


class LogTable:
    def __init__(self, now: datetime) -> None:
        """`now`: with the time zone to tell times in."""
        self._now = now
        self._day = now.date()

    def rows(self, frame: bytes, width: int) -> Iterator[Cell]:
        """The row of a line of the log, after that of its day if it is another one."""
        try:
            line = parse_log_line(frame)
        except Malformed:  # of another version
            text = escape_text(frame.decode("ascii", "backslashreplace"))
            yield (Span(shorten_end(text, width), weight=Weight.QUIET),)
            return
        moment = _read_moment(line.time, self._now.tzinfo)
        yield from self._tell_day(moment.date() if moment else self._day, moment)
        time = f"{moment:%H:%M:%S}" if moment else escape_text(line.time)
        event, weight = _event_of(line)
        head = (
            Span(f"{time:<{_TIME_WIDTH}}{GAP}", weight=Weight.QUIET),
            Span(f"{event:<{_EVENT_WIDTH}}{GAP}", weight=weight),
        )
        room = max(1, width - cell_width(text_of(head)))
        if isinstance(line, _JudgedLine):
            yield (*head, *self._judged(line, room))
        else:
            _time, _level, text = format_text(line).split(" ", 2)
            text = text.removeprefix(event).lstrip(", ")
            yield (*head, Span(shorten_words(escape_text(self._shorten_times(text)), room)))

    def _tell_day(self, day: date, moment: datetime | None) -> Iterator[Cell]:
        if moment and day != self._day:
            yield (Span(tell_day(moment, self._now), weight=Weight.STRONG),)
        self._day = day

    def _judged(self, line: _JudgedLine, room: int) -> Cell:
        program_width, remote_width, why_width = _widths(room)
        is_inbound = line.direction is Direction.INBOUND
        port = line.local_port if is_inbound else line.remote_port
        where = f" {port} {line.protocol}" if line.protocol in WITH_PORTS else f" {line.protocol}"
        remote = fit_cell(spans_of_name(line.name or line.remote_address), max(1, remote_width - cell_width(where)))
        cells = (
            _filled(fit_cell(spans_of_path(line.program), program_width), program_width),
            (Span(" ← " if is_inbound else " → "),),
            _filled((*remote, Span(where)), remote_width if why_width else 0),
        )
        why = (
            (Span(f"{GAP}{shorten_words(self._tell_why(line), why_width)}", weight=Weight.QUIET),) if why_width else ()
        )
        return (*(span for cell in cells for span in cell), *why)

    def _tell_why(self, line: _JudgedLine) -> str:
        if isinstance(line, AskLine):
            return f"question {line.id}"
        if isinstance(line, SaidLine):
            return line.remote_address
        return escape_text(self._shorten_times(shorten_rule(line.rule) if line.rule else line.reason))

    def _shorten_times(self, text: str) -> str:
        def short(found: re.Match[str]) -> str:
            moment = _read_moment(found[0], self._now.tzinfo)
            return tell_moment(moment.timestamp(), self._now) if moment else found[0]

        return _MOMENT.sub(short, text)


def _event_of(line: LogLine) -> tuple[str, Weight]:
    match line:
        case ConnectionLine(verdict=verdict):
            return verdict.value, VERDICTS[verdict]
        case AskLine():
            return "ask", VERDICTS[Verdict.ASK]
        case SaidLine():
            return "said", Weight.PLAIN
        case AnswerLine():
            return "answer", Weight.PLAIN
        case RulesLine(errors=errors):
            return "rules", Weight.BAD if errors else Weight.PLAIN
        case ModeLine():
            return "mode", Weight.WARNING
        case LostLine():
            return "lost", Weight.WARNING
        case PacketSocketLine():
            return "socket", Weight.WARNING
        case _:
            return "ready", Weight.PLAIN


def _widths(room: int) -> tuple[int, int, int]:
    """Of program, remote and what decided, with 0 if there is no room for that."""
    program = min(max(room // 4, 9), _MOST_PROGRAM)
    remote = min(max(room * 2 // 5, 12), _MOST_REMOTE)
    why = room - program - 3 - remote - len(GAP)
    return (program, remote, why) if why >= LEAST_WHY else (program, max(1, room - program - 3), 0)


def _filled(cell: Cell, width: int) -> Cell:
    return (*cell, Span(" " * max(0, width - cell_width(text_of(cell)))))


def _read_moment(text: str, zone: tzinfo | None) -> datetime | None:
    with suppress(ValueError):
        return datetime.fromisoformat(text).astimezone(zone)
    return None
