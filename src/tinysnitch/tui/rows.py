"""What every page on the terminal is made of: styles, rows of text that fit a width, and keys that can be clicked.

The background and the text are the terminal's own. The few colours that we add are of middle lightness, so that they
can be read on black and on white (a test measures it), and none tells anything that weight or words do not tell, too:
a terminal without colours, or with NO_COLOR, shows the same. A sign on a coloured ground is the colour in reverse, so
that its letter is the terminal's background.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from rich.style import Style
from rich.text import Text

from tinysnitch.core.model.verdict import Verdict
from tinysnitch.view.escape import cell_width, shorten_end, wrap_columns, wrap_shortened
from tinysnitch.view.span import Span, Weight, fit_spans

if TYPE_CHECKING:  # the tables of all commands are painted with these rows, and have no prompt
    from tinysnitch.view.prompt_view import KeyHint

BLUE, GREEN, RED, ORANGE = "#1f7ae0", "#1a8f3c", "#d9363e", "#c65d00"
COVERED, COVERED_QUIET = f"bold {BLUE}", BLUE  # what the rule covers
STRONG = "bold"
QUIET = "dim"
YES, NO, WARNING = f"bold {GREEN}", f"bold {RED}", f"bold {ORANGE}"
FAULT = URGENT = NO
CURSOR = "reverse"
MAX_WIDTH = 100  # columns; longer lines are hard to read
GAP = 3  # columns between keys, and between blocks
_KEY = "key"  # in the meta of a style: the name of the key that a click there presses
_QUESTION = "question"  # and the id of the question that it points to


def room_of(width: int) -> int:
    """The columns of a page in a terminal of this width: all but a margin, and no more than can be read well."""
    return max(1, min(width - 2, MAX_WIDTH))


def place(rows: list[Text], width: int, height: int) -> Text:
    """The rows as a page in the middle of the screen. Of too many rows blank ones are left out first, then the last."""
    if len(rows) > height:
        rows = [row for row in rows if row.plain][:height]
    margin = (width - room_of(width)) // 2
    screen = [Text() for _ in range((height - len(rows)) // 2)]
    for row in rows:
        if outside := _count_outside(row.plain, width - margin):
            row.right_crop(outside)
        row.pad_left(margin)
        screen.append(row)
    return Text("\n").join(screen)


def _count_outside(text: str, width: int) -> int:
    """How many characters at the end of a row are beyond the width. Counted here, since Rich counts no column for some
    characters that take one or two on a terminal."""
    return next(over for over in range(len(text) + 1) if cell_width(text[: len(text) - over]) <= width)


def told_rows(text: str, room: int, height: int, style: str = QUIET) -> list[Text]:
    """At most `height` rows of a text; the end of a longer one is left out."""
    return [Text(line, style) for line in wrap_shortened(text, room, height)] if height > 0 else []


def at_both_ends(left: Text, right: Text, room: int) -> Text:
    """One row; of the left text the end is left out if they do not both fit."""
    space = max(0, room - cell_width(right.plain) - 2)
    if cell_width(left.plain) > space:
        left = Text(shorten_end(left.plain, space), left.style)
    return Text.assemble(left, " " * max(0, room - cell_width(left.plain) - cell_width(right.plain)), right)


def join(spans: tuple[Span, ...]) -> Text:
    text = Text()
    for style, alike in itertools.groupby(spans, _style_of):
        text.append("".join(span.text for span in alike), style)
    return text


def _style_of(span: Span) -> str:
    """What the rule covers has a colour. A quiet part is never bold, so that names differ without colours, too."""
    if span.is_covered:
        return COVERED_QUIET if span.weight is Weight.QUIET else COVERED
    return {Weight.STRONG: STRONG, Weight.QUIET: QUIET}.get(span.weight, "")


def wrap(spans: tuple[Span, ...], width: int, height: int) -> list[Text]:
    """The spans in at most `height` rows. If they do not fit, the longest are cut in their middle, by as little as need
    be."""
    rows: list[Text] = []
    for cells in _tried_cells(width, height):
        rows, _ends = break_rows(join(fit_spans(spans, cells)), width)
        if len(rows) <= height:
            break
    return rows[:height]


def _tried_cells(width: int, height: int) -> Iterator[int]:
    """Numbers of cells to try: from all that the rows have, down to what surely fits, even if each row but the last
    breaks at a blank and stays half empty."""
    surely = width * height - (height - 1) * width // 2
    yield from range(width * height, surely, -max(1, width // 3))
    yield surely


def break_rows(text: Text, width: int) -> tuple[list[Text], list[int]]:
    """The rows of a text, and the index where each row but the last ends."""
    ends = list(itertools.accumulate(map(len, wrap_columns(text.plain, width))))[:-1]
    return list(text.divide(ends)), ends


def pieces_of(hints: "Iterable[KeyHint]", room: int, *, is_ready: bool) -> list[Text]:
    """Keys with what they do: green what allows, red what denies; all of it dim while keys do not count."""
    pieces = []
    for hint in hints:
        label = f" {hint.label} " if hint.verdict else hint.label
        text = f" {shorten_end(hint.text, room - len(label) - 1)}"
        if not is_ready or hint.is_dead:
            piece = Text(f"{label}{text}", QUIET)
        elif hint.verdict:
            color = YES if hint.verdict is Verdict.ALLOW else NO
            piece = Text.assemble((label, f"{color} reverse"), (text, color))
        else:
            piece = Text.assemble((label, "reverse"), (text, COVERED if hint.is_on else ""))
        pieces.append(as_key(piece, hint.name))
    return pieces


def flow(pieces: list[Text], room: int, gap: int = GAP) -> list[Text]:
    """Rows of whole pieces, as many in a row as fit."""
    rows: list[Text] = []
    for piece in pieces:
        if rows and rows[-1].cell_len + gap + piece.cell_len <= room:
            rows[-1] = Text.assemble(rows[-1], " " * gap, piece)
        else:
            rows.append(piece)
    return rows


def as_key(text: Text, name: str, start: int = 0, end: int | None = None) -> Text:
    """The text, of which a click, perhaps on some of its characters alone, presses the key."""
    text.stylize(Style(meta={_KEY: name}), start, end)
    return text


def key_at(row: Text, column: int) -> str | None:
    """The name of the key whose hint stands in this column of a row."""
    found: str | None = _meta_at(row, column, _KEY)
    return found


def as_question(row: Text, prompt_id: int) -> Text:
    """The row of a list, which points to this question when it is clicked."""
    row.stylize(Style(meta={_QUESTION: prompt_id}))
    return row


def question_at(row: Text, column: int) -> int | None:
    """The question of a list that stands in this column of a row."""
    found: int | None = _meta_at(row, column, _QUESTION)
    return found


def _meta_at(row: Text, column: int, name: str) -> Any:  # noqa: ANN401 - what a style's meta holds
    at = next((index for index in range(len(row)) if cell_width(row.plain[: index + 1]) > column), len(row))
    metas = (span.style.meta for span in row.spans if isinstance(span.style, Style) and span.start <= at < span.end)
    return next((meta[name] for meta in metas if name in meta), None)
