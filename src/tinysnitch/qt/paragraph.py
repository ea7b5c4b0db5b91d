"""Lays out text for painting. It is always plain text: no markup is interpreted in it.

Each run of non-ASCII characters stands in a directional isolate (UAX #9), so that a right-to-left name does not reorder
what stands next to it: `/tmp/X/Y` keeps its order whatever script X and Y are in. A run does not begin with an accent,
which would then stand above the next letter, and not above its own before the isolate. Rows end at blanks alone, where
no word is longer than a row: below `evil-` the next row would begin with what looks like a whole name, and below
`/opt/` with what looks like a path. A remark behind a rule, which is quiet, stays in one row.
"""

import re

import msgspec
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QTextCharFormat, QTextLayout, QTextOption

from tinysnitch.view.escape import cell_width
from tinysnitch.view.span import Span, Weight, fit_spans, text_of

_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"
_NO_BREAK = "\N{NO-BREAK SPACE}"
_WORD_JOINER = "\u2060"  # has no width, and no row ends beside it (UAX #14)
_BREAKING = re.compile(r"[-/]")  # behind these Qt would end a row
_OTHER_SCRIPT = re.compile(r"[^\x00-\x7f\u0300-\u036f][^\x00-\x7f]*")  # U+0300 to U+036F: combining accents
_SHRINK = 0.97  # factor between two sizes that are tried
_NARROW = 2.0  # how many more letters may fit than digits
_ROW_LOSS = 0.8  # the part of a row that is surely used, although rows break at blanks


class Style(msgspec.Struct, frozen=True):
    font: QFont
    color: QColor
    covered: QColor
    quiet: QColor
    is_right: bool = False  # at the right end of its place

    def font_of(self, span: Span) -> QFont:
        font = QFont(self.font)
        if span.is_covered or span.weight is not Weight.PLAIN:
            font.setBold(span.weight is not Weight.QUIET)
        return font


class Paragraph:
    """Spans in at most `rows` rows of `width`; longer ones are cut in their middle."""

    def __init__(self, spans: tuple[Span, ...], style: Style, width: float, rows: int = 1) -> None:
        self.color = style.color
        self.layout = _fit(spans, style, width, rows)
        self.height = self.layout.boundingRect().height()
        rows_of_text = map(self.layout.lineAt, range(self.layout.lineCount()))
        self.width = max((row.naturalTextWidth() for row in rows_of_text), default=0.0)


def cells_of(font: QFont, width: float, rows: int) -> int:
    """How many characters surely fit into `rows` rows."""
    columns = max(1, int(width / text_width("0", font)))
    return columns if rows == 1 else int(columns * rows * _ROW_LOSS)


def text_width(text: str, font: QFont) -> float:
    return QFontMetricsF(font).horizontalAdvance(text)


def _fit(spans: tuple[Span, ...], style: Style, width: float, rows: int) -> QTextLayout:
    """The layout of as much as fits: what is left out is in the middle of the text, and never its end."""
    columns = cells_of(style.font, width, 1)
    wrap = QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere
    cells, whole = cells_of(style.font, width, rows), cell_width(text_of(spans))
    if rows > 1 and any(cell_width(word) > columns for word in text_of(spans).split(" ")):
        wrap = QTextOption.WrapMode.WrapAnywhere  # a word longer than a row would leave rows half empty
        cells = columns * rows
    tried = whole if whole <= cells * _NARROW else cells  # letters may be narrower than a digit
    while True:
        layout = _lay_out(fit_spans(spans, tried), style, wrap)
        if _break_lines(layout, width, rows) or tried <= 1:
            return layout
        tried = int(tried * _SHRINK)


def _lay_out(spans: tuple[Span, ...], style: Style, wrap: QTextOption.WrapMode) -> QTextLayout:
    pieces = [_glue(isolate(span.text), span) for span in spans]
    layout = QTextLayout("".join(pieces), style.font)
    layout.setFormats(_formats(pieces, spans, style))
    option = QTextOption(Qt.AlignmentFlag.AlignRight if style.is_right else Qt.AlignmentFlag.AlignLeft)
    option.setTextDirection(Qt.LayoutDirection.LeftToRight)
    option.setWrapMode(wrap)
    layout.setTextOption(option)
    return layout


def _glue(text: str, span: Span) -> str:
    """The text as it may be broken: at blanks alone. A quiet remark, such as `, for 9 minutes`, at its first one."""
    if span.weight is Weight.QUIET and not span.is_covered:
        first, blank, others = text.partition(" ")
        text = first + blank + others.replace(" ", _NO_BREAK)
    return _BREAKING.sub(rf"\g<0>{_WORD_JOINER}", text)


def _break_lines(layout: QTextLayout, width: float, rows: int) -> bool:
    """Break the layout into at most `rows` lines. Returns whether these hold all of the text."""
    height = 0.0
    end = 0
    layout.beginLayout()
    for _row in range(rows):
        line = layout.createLine()
        if not line.isValid():
            break
        line.setLineWidth(width)
        line.setPosition(QPointF(0, height))
        height += line.height()
        end = line.textStart() + line.textLength()
    layout.endLayout()
    return end >= utf16_length(layout.text())


def utf16_length(text: str) -> int:
    """The length in UTF-16 units, in which Qt counts."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _formats(pieces: list[str], spans: tuple[Span, ...], style: Style) -> list[QTextLayout.FormatRange]:
    formats = []
    start = 0
    for piece, span in zip(pieces, spans, strict=True):
        length = utf16_length(piece)
        if span.is_covered or span.weight is not Weight.PLAIN:
            formats.append(_format(start, length, span, style))
        start += length
    return formats


def _format(start: int, length: int, span: Span, style: Style) -> QTextLayout.FormatRange:
    """What the rule covers is yellow; a quiet part is never bold."""
    char_format = QTextCharFormat()
    if span.is_covered:
        char_format.setForeground(style.covered)
    elif span.weight is Weight.QUIET:
        char_format.setForeground(style.quiet)
    char_format.setFontWeight(style.font_of(span).weight())
    found = QTextLayout.FormatRange()
    found.start, found.length, found.format = start, length, char_format
    return found


def isolate(text: str) -> str:
    """The text with each run of non-ASCII characters in an isolate."""
    return text if text.isascii() else _OTHER_SCRIPT.sub(rf"{_FIRST_STRONG_ISOLATE}\g<0>{_POP_ISOLATE}", text)
