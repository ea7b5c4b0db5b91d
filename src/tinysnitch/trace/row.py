"""A line as a row of a terminal: columns, a colour for what happened, cut at the terminal's width.

What is cut is in the lines that a pipe gets. Colours are those that the terminal gives these names.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache
from signal import Signals

from tinysnitch.core.rules.words import quote_word
from tinysnitch.kernel.system.users import find_name
from tinysnitch.protocol.log_lines import LostLine
from tinysnitch.trace.line import UNKNOWN, TraceLine, format_place
from tinysnitch.view.text import cell_width, escape_text, shorten_end, shorten_middle

Part = tuple[str, str]  # a text, and its style

_EVENT, _PID, _USER, _PLACE = 7, 7, 8, 25
_REST = 70  # columns that a long place leaves to the others: an IPv6 address is whole in a terminal of 120
HEAD = f"{'time':<8} {'event':<{_EVENT}} {'pid':>{_PID}} {'user':<{_USER}} {'where':<{_PLACE}} program"
_STYLES = {
    "exec": "bold",
    "fork": "dim",
    "exit": "dim",
    "connect": "cyan",
    "send": "cyan",
    "bind": "magenta",
    "accept": "magenta",
}


def lay_out(line: TraceLine | LostLine, width: int, name_user: Callable[[int], str]) -> Iterator[Part]:
    """The parts of a row of at most `width` columns. `name_user`: the text for a uid."""
    room = width
    for shorten, text, style in _write(line, max(_PLACE, width - _REST), name_user):
        shown = shorten(text, room)
        room -= cell_width(shown)
        yield shown, style


def _write(
    line: TraceLine | LostLine, place_width: int, name_user: Callable[[int], str]
) -> Iterator[tuple[Callable[[str, int], str], str, str]]:
    """Each part with the function that shortens it if there is no room."""
    yield shorten_end, f"{format_clock(line.time)} ", "dim"
    if isinstance(line, LostLine):
        yield shorten_end, f"lost    {line.count} lines that came faster than they could be written", "bold red"
        return
    yield shorten_end, f"{line.event:<{_EVENT}} ", _STYLES[line.event]
    yield shorten_end, f"{line.pid:>{_PID}} {_fill(shorten_middle(name_user(line.uid), _USER), _USER)} ", ""
    place, style = _name_signal(line.signal) if line.signal else (format_place(line), "yellow" if line.status else "")
    yield shorten_end, f"{shorten_middle(place, place_width):<{_PLACE}} ", style
    yield shorten_middle, quote_word(line.program or UNKNOWN), "dim" if line.event in ("fork", "exit") else ""
    yield shorten_end, "".join(f" {quote_word(word)}" for word in line.args), "dim"


def _fill(text: str, width: int) -> str:
    return text + " " * (width - cell_width(text))


def _name_signal(number: int) -> Part:
    known = next((each.name for each in Signals if each == number), None)  # those for real time have no name
    return known or f"signal {number}", "red"


def format_clock(time: str) -> str:
    """The time of a line in the time zone of this machine: 10:17:03."""
    return datetime.fromisoformat(time).astimezone().strftime("%H:%M:%S")


@lru_cache(maxsize=1024)
def name_user(uid: int) -> str:
    return escape_text(find_name(uid) or str(uid))
