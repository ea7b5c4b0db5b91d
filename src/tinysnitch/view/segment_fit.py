"""Segments made to fit a width: long ones give way in their middle, then those in the middle go.

A rule has its arguments last, and a program may have any number: they must not push out who it is and where it goes.
"""

import msgspec

from tinysnitch.view.segment import Segment
from tinysnitch.view.text import ELLIPSIS, cell_width, shorten_middle

READABLE = 9  # columns in which the end of a name or a path still tells something
HEAD = 14  # segments that stay: the words of a rule up to its program, a qualifier among them, with their blanks


def fit_segments(segments: tuple[Segment, ...], width: int) -> tuple[Segment, ...]:
    """Segments of at most `width` columns in all: the longest ones give way."""
    fitted = _shorten(list(segments), width, READABLE)
    if _width_of(fitted) > width and len(fitted) > HEAD + 2:
        head, tail = [*fitted[:HEAD], Segment(ELLIPSIS)], fitted[HEAD + 1 :]
        fitted = [*head, *_tail_within(tail, width - _width_of(head))]
    return tuple(_shorten(fitted, width, 1))


def _tail_within(segments: list[Segment], width: int) -> list[Segment]:
    """Drops pairs of a word and a blank from the beginning until the rest fits; the last word stays."""
    first, left = 0, _width_of(segments)
    while len(segments) - first > 2 and left > width:
        left -= _width_of(segments[first : first + 2])
        first += 2
    return segments[first:]


def _shorten(segments: list[Segment], width: int, least: int) -> list[Segment]:
    """The longest ones in their middle, none to less than `least` columns."""
    sizes = [cell_width(segment.text) for segment in segments]
    excess = sum(sizes) - width
    while excess > 0:
        longest = max(range(len(sizes)), key=sizes.__getitem__)
        size = sizes[longest]
        if size <= least:
            break
        shorter = shorten_middle(segments[longest].text, max(size - excess, size // 2, least))
        segments[longest] = msgspec.structs.replace(segments[longest], text=shorter)
        sizes[longest] = cell_width(shorter)
        excess += sizes[longest] - size
    return segments


def _width_of(segments: list[Segment]) -> int:
    return sum(cell_width(segment.text) for segment in segments)
