"""Spans of a line: text that is safe to show, and whether the answer would cover it."""

import msgspec

from tinysnitch.view.text import escape_text


class Span(msgspec.Struct, frozen=True):
    text: str
    is_covered: bool = False


class Line(msgspec.Struct, frozen=True):
    label: str
    spans: tuple[Span, ...]
    is_pending: bool = False  # another value comes

    @property
    def text(self) -> str:
        return text_of(self.spans)


def text_of(spans: tuple[Span, ...]) -> str:
    return "".join(span.text for span in spans)


def span_of(text: str, is_covered: bool = False) -> Span:
    """Of hostile text."""
    return Span(escape_text(text), is_covered)
