"""A line is made of spans: texts that are safe to show, each with whether the answer's rule covers it.

Spans are made to fit a width: long ones are shortened in their middle, then those in the middle are left out. A rule
ends with the arguments of its program, of which there may be any number: they must not push the program and the remote
out of sight.

Lengths of time are written here, too.
"""

import msgspec

from tinysnitch.view.text import ELLIPSIS, cell_width, escape_text, shorten_middle

READABLE = 9  # columns that a span keeps: enough for the end of a name or path to tell something
HEAD = 14  # spans that always stay: a rule's words up to its program, with a qualifier or two, and their blanks
_COUNTED_S = 120  # the longest time that is shown in seconds alone


class Span(msgspec.Struct, frozen=True):
    text: str
    is_covered: bool = False


class Line(msgspec.Struct, frozen=True):
    label: str
    spans: tuple[Span, ...]
    is_pending: bool = False  # its value is still being looked up

    @property
    def text(self) -> str:
        return text_of(self.spans)


def text_of(spans: tuple[Span, ...]) -> str:
    return "".join(span.text for span in spans)


def span_of(text: str, is_covered: bool = False) -> Span:
    """A span of hostile text, which is escaped."""
    return Span(escape_text(text), is_covered)


def fit_spans(spans: tuple[Span, ...], width: int) -> tuple[Span, ...]:
    """Spans of at most `width` columns in all. The longest ones are shortened first, arguments before the head."""
    head, tail = list(spans[:HEAD]), list(spans[HEAD:])
    head = _shorten(head, max(width // 2, width - _width_of(tail)), READABLE)
    tail = _shorten(tail, width - _width_of(head), READABLE)
    if _width_of([*head, *tail]) > width and len(tail) > 2:
        head.append(Span(ELLIPSIS))
        tail = _tail_within(tail[1:], width - _width_of(head))
    return tuple(_shorten([*head, *tail], width, 1))


def _tail_within(spans: list[Span], width: int) -> list[Span]:
    """Drop pairs of a word and a blank from the beginning until the rest fits; the last word stays."""
    first, left = 0, _width_of(spans)
    while len(spans) - first > 2 and left > width:
        left -= _width_of(spans[first : first + 2])
        first += 2
    return spans[first:]


def _shorten(spans: list[Span], width: int, least: int) -> list[Span]:
    """Shorten the longest spans in their middle until all fit, but none to less than `least` columns."""
    sizes = [cell_width(span.text) for span in spans]
    excess = sum(sizes) - width
    while sizes and excess > 0:
        longest = max(range(len(sizes)), key=sizes.__getitem__)
        size = sizes[longest]
        if size <= least:
            break
        shorter = shorten_middle(spans[longest].text, max(size - excess, size // 2, least))
        spans[longest] = msgspec.structs.replace(spans[longest], text=shorter)
        sizes[longest] = cell_width(shorter)
        excess += sizes[longest] - size
    return spans


def _width_of(spans: list[Span]) -> int:
    return sum(cell_width(span.text) for span in spans)


def format_duration(seconds: float) -> str:
    """`3 d 4 h`, `5 h 12 min`, `7 min 3 s`, `9 s`."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days} d {hour} h"
    if hours:
        return f"{hours} h {minute} min"
    return f"{minutes} min {second} s" if minutes else f"{second} s"


def format_time_left(seconds: int, unit: str = "s") -> str:
    """`60 s`; of more than two minutes `59 min 59 s`."""
    return format_duration(seconds) if seconds > _COUNTED_S else f"{seconds} {unit}"
