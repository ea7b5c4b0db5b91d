"""Pieces of a line: text that is safe to show, and whether the answer would cover it."""

import msgspec

from tinysnitch.view.text import escape_text


class Segment(msgspec.Struct, frozen=True):
    text: str
    is_covered: bool = False


class Line(msgspec.Struct, frozen=True):
    label: str
    segments: tuple[Segment, ...]
    is_pending: bool = False  # another value comes

    @property
    def text(self) -> str:
        return text_of(self.segments)


def text_of(segments: tuple[Segment, ...]) -> str:
    return "".join(segment.text for segment in segments)


def segment_of(text: str, is_covered: bool = False) -> Segment:
    """A piece of hostile text."""
    return Segment(escape_text(text), is_covered)
