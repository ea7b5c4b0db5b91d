"""Entries: on the left what each is about, on the right what is said of it, in as many rows as it takes."""

from collections.abc import Iterable, Iterator

import msgspec

from tinysnitch.view.escape import cell_width, escape_text, shorten_words, wrap_words
from tinysnitch.view.history.table import Cell
from tinysnitch.view.span import Span, Weight, text_of

LEAST_ROOM = 20  # columns for what is said, however narrow the terminal is


class Paragraph(msgspec.Struct, frozen=True):
    """Begins a row. Its text may be hostile."""

    text: str
    lead: str = ""  # words before it, below which its further rows are indented
    weight: Weight = Weight.PLAIN


class Entry(msgspec.Struct, frozen=True):
    label: Cell
    said: tuple[Paragraph, ...]


def lay_out_entries(entries: Iterable[Entry], indent: int, width: int, most: int | None = None) -> Iterator[Cell]:
    """The rows, in which what is said begins behind `indent` columns. A paragraph of more than `most` rows loses its
    end."""
    room = max(LEAST_ROOM, width - indent)
    for entry in entries:
        rows = [row for paragraph in entry.said for row in _wrap(paragraph, room, most)]
        for number, row in enumerate(rows):
            label = () if number else entry.label
            yield (*label, Span(" " * max(0, indent - cell_width(text_of(label)))), row)
        if not rows:
            yield entry.label


def _wrap(paragraph: Paragraph, room: int, most: int | None) -> Iterator[Span]:
    lead = paragraph.lead
    rows = wrap_words(escape_text(paragraph.text), room - len(lead))
    if most is not None and len(rows) > most:
        rows = [*rows[: most - 1], shorten_words(" ".join(rows[most - 1 : most + 1]), room - len(lead))]
    for number, row in enumerate(rows):
        yield Span(f"{' ' * len(lead) if number else lead}{row}", weight=paragraph.weight)
