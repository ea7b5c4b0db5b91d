"""A line is made of spans: texts that are safe to show, each with its weight and whether the answer's rule covers it.

Of a name, the domain that somebody registered is strong, and what its owner put before it is quiet: so `shop.test` in
`evil-shop.test`, `shop.test.evil.example` and `evil.shop.test` never looks like the `shop.test` that a person trusts.

Spans are made to fit a width: long ones are shortened in their middle, then those in the middle are left out. A rule
ends with the arguments of its program, of which there may be any number: they must not push the program and the remote
out of sight.

Lengths of time are written here, too.
"""

from enum import Enum

import msgspec

from tinysnitch.core.model.domain import find_registrable_domain, is_numbered
from tinysnitch.core.rules.qualifiers import QUALIFIERS
from tinysnitch.core.rules.quoting import split_words
from tinysnitch.core.rules.rule import RemoteKind, Rule
from tinysnitch.core.rules.rule_line import COLUMNS, format_rule
from tinysnitch.view.escape import ELLIPSIS, cell_width, escape_text, shorten_middle

READABLE = 9  # columns that a span keeps: enough for the end of a name or path to tell something
HEAD = 15  # spans that always stay: a rule's words up to its program, with a qualifier or two, and their blanks
_OF_NO_NAME = frozenset(":/@ ")  # in addresses, networks and lists
LEAST = 2  # columns of what gives way in a column: an ellipsis, and what parts it from the rest
IN_COLUMN = 4  # spans of a name, a path or a program in a column; the line of a rule has more
_ANY_WORD = "-"
_QUALIFIERS = tuple(f"{key}=" for key in QUALIFIERS)
_COUNTED_S = 120  # the longest time that is shown in seconds alone


class Weight(Enum):
    """How a front end sets a text off from those around it, by colour or, where there are none, by bold letters."""

    PLAIN = "plain"
    STRONG = "strong"  # what a name is judged by
    QUIET = "quiet"  # what anybody could have put there
    GOOD = "good"  # this and the two below in the tables of commands alone, which say the same in words
    WARNING = "warning"
    BAD = "bad"


class Span(msgspec.Struct, frozen=True):
    text: str
    is_covered: bool = False
    weight: Weight = Weight.PLAIN


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


def spans_of_name(name: str, *, is_covered: bool = False) -> tuple[Span, ...]:
    """A remote's name, which is hostile: `cdn.` is quiet and `shop.test` strong. An address, a public suffix, and what
    else belongs to no registered domain is strong as a whole."""
    is_name = not is_numbered(name) and _OF_NO_NAME.isdisjoint(name)
    domain = find_registrable_domain(name) if is_name else None
    if domain is None or not name.endswith(f".{domain}"):
        return (Span(escape_text(name), is_covered, Weight.STRONG),)
    below = name.removesuffix(domain)
    return Span(escape_text(below), is_covered, Weight.QUIET), Span(escape_text(domain), is_covered, Weight.STRONG)


def present_line(rule: Rule) -> tuple[Span, ...]:
    """The line of a rule, of which the words that name something are covered."""
    line = format_rule(rule)
    starts = [word.column - 1 for word in split_words(line)]
    words = [line[start:end].rstrip(" ") for start, end in zip(starts, [*starts[1:], len(line)], strict=True)]
    first = next(index for index, word in enumerate(words) if index and not word.startswith(_QUALIFIERS))
    spans: list[Span] = []
    for index, word in enumerate(words):
        is_any = word == _ANY_WORD and index - first < len(COLUMNS)  # after the columns `-` is an argument
        is_narrowing = 0 < index < first
        is_covered = is_narrowing or (index >= first and not is_any)
        is_name = index == first and rule.remote.kind in (RemoteKind.NAME, RemoteKind.DOMAIN)
        spans += spans_of_name(word, is_covered=is_covered) if is_name else (span_of(word, is_covered),)
        spans.append(Span(" "))
    return tuple(spans[:-1])


def spans_of_names(names: tuple[str, ...]) -> tuple[Span, ...]:
    """The names, with commas between them."""
    spans = [span for name in names for span in (Span(", "), *spans_of_name(name))]
    return tuple(spans[1:])


def fit_spans(spans: tuple[Span, ...], width: int) -> tuple[Span, ...]:
    """Spans of at most `width` columns in all. The longest ones are shortened first, arguments before the head."""
    end = HEAD if _parts_words(spans[HEAD - 1 : HEAD]) else HEAD - 1
    head, tail = list(spans[:end]), list(spans[end:])
    head = _shorten(head, max(width // 2, width - _width_of(tail)), READABLE)
    tail = _shorten(tail, width - _width_of(head), READABLE)
    if _width_of([*head, *tail]) > width and len(tail) > 2:
        head.append(Span(ELLIPSIS))
        tail = _tail_within(tail, width - _width_of(head))
    return tuple(_shorten([*head, *tail], width, 1))


def fit_cell(spans: tuple[Span, ...], width: int) -> tuple[Span, ...]:
    """As fit_spans, for a column with a name, a path or a program: what is strong stays whole while the rest can give
    way. They are known by the domain that somebody registered, by the file, by more than arguments."""
    soft = [at for at, span in enumerate(spans) if span.weight is not Weight.STRONG]
    room = width - _width_of([span for span in spans if span.weight is Weight.STRONG])
    least = sum(min(LEAST, cell_width(spans[at].text)) for at in soft)
    if len(spans) > IN_COLUMN or len(soft) in (0, len(spans)) or room < least:
        return fit_spans(spans, width)
    shorter = dict(zip(soft, _shorten([spans[at] for at in soft], room, LEAST), strict=True))
    return tuple(shorter.get(at, span) for at, span in enumerate(spans))


def _tail_within(spans: list[Span], width: int) -> list[Span]:
    """Drop words from the beginning, but not the blank before the first that stays, until the rest fits; the last word
    stays."""
    first, left = 0, _width_of(spans)
    for at, span in enumerate(spans):
        if at and _parts_words((span,)):
            first = at
            if left <= width:
                break
        left -= cell_width(span.text)
    return spans[first:]


def _parts_words(spans: tuple[Span, ...]) -> bool:
    return bool(spans) and not spans[0].text.strip(" ,")


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
