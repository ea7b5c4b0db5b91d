"""A line is made of spans: texts that are safe to show, each with whether the answer's rule covers it."""

import msgspec

from tinysnitch.view.text import escape_text


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
