"""A line as a row of a terminal: columns, cut at its width. What begins or ends is quieter than what is done meanwhile.

What is cut is in the lines that a pipe gets.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache
from signal import Signals

from tinysnitch.core.rules.quoting import quote_word
from tinysnitch.kernel.system.users import find_name
from tinysnitch.protocol.log_lines import LostLine
from tinysnitch.trace.line import UNKNOWN, TraceLine, format_place
from tinysnitch.view.escape import cell_width, escape_text, shorten_end, shorten_middle
from tinysnitch.view.span import Span, Weight

_EVENT, _PID, _USER, _PLACE = 7, 7, 8, 25
_REST = 70  # columns that a long place leaves to the others: an IPv6 address is whole in a terminal of 120
HEAD = f"{'time':<8} {'event':<{_EVENT}} {'pid':>{_PID}} {'user':<{_USER}} {'where':<{_PLACE}} program"
_WEIGHTS = {"exec": Weight.STRONG, "fork": Weight.QUIET, "exit": Weight.QUIET}


def lay_out(line: TraceLine | LostLine, width: int, name_user: Callable[[int], str]) -> Iterator[Span]:
    """A row of at most `width` columns. `name_user`: the text for a uid."""
    room = width
    for shorten, text, weight in _write(line, max(_PLACE, width - _REST), name_user):
        shown = shorten(text, room)
        room -= cell_width(shown)
        yield Span(shown, weight=weight)


def _write(
    line: TraceLine | LostLine, place_width: int, name_user: Callable[[int], str]
) -> Iterator[tuple[Callable[[str, int], str], str, Weight]]:
    """Each part with the function that shortens it if there is no room."""
    yield shorten_end, f"{format_clock(line.time)} ", Weight.QUIET
    if isinstance(line, LostLine):
        yield shorten_end, f"lost    {line.count} lines that came faster than they could be written", Weight.BAD
        return
    weight = _WEIGHTS.get(line.event, Weight.PLAIN)
    yield shorten_end, f"{line.event:<{_EVENT}} ", weight
    who = f"{line.pid:>{_PID}} {_fill(shorten_middle(name_user(line.uid), _USER), _USER)} "
    yield shorten_end, who, Weight.PLAIN
    place, place_weight = _present_place(line)
    yield shorten_end, f"{shorten_middle(place, place_width):<{_PLACE}} ", place_weight
    program_weight = Weight.QUIET if weight is Weight.QUIET else Weight.PLAIN
    yield shorten_middle, _show(line.program or UNKNOWN), program_weight
    yield shorten_end, "".join(f" {_show(word)}" for word in line.args), Weight.QUIET


def _present_place(line: TraceLine) -> tuple[str, Weight]:
    if line.signal is None:
        return format_place(line), Weight.WARNING if line.status else Weight.PLAIN
    known = next((each.name for each in Signals if each == line.signal), None)  # those for real time have no name
    return known or format_place(line), Weight.BAD


def _show(word: str) -> str:
    """A word that a program chose. Marks that would cover the rows around it are escaped, too."""
    return escape_text(quote_word(word))


def _fill(text: str, width: int) -> str:
    return text + " " * (width - cell_width(text))


def format_clock(time: str) -> str:
    """The time of a line in the time zone of this machine: 10:17:03."""
    return datetime.fromisoformat(time).astimezone().strftime("%H:%M:%S")


@lru_cache(maxsize=1024)
def name_user(uid: int) -> str:
    return escape_text(find_name(uid) or str(uid))
