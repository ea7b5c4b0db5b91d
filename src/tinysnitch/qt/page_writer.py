"""Writes the blocks of a page (title, facts, rule line, keys, time) as a column in the middle of the window."""

from collections.abc import Iterator

from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QFont, QFontDatabase

from tinysnitch.qt import palette
from tinysnitch.qt.page_layout import PageLayout
from tinysnitch.qt.paragraph import Paragraph, Style, cells_of, text_width
from tinysnitch.view.edit_view import EditView, fit_around_cursor
from tinysnitch.view.help_view import HelpRow
from tinysnitch.view.prompt_view import KeyHint, PromptView
from tinysnitch.view.span import Line, Span, format_time_left
from tinysnitch.view.text import shorten_end

COLUMNS = 92  # characters, of the column of text
LABEL_COLUMNS = 11
TITLE_SCALE = 1.9
TITLE_ROWS = 2
RULE_ROWS = 4
NEWS_ROWS = 3
HINT_SPACE = 3.0  # columns between a key's text and the next key
MAX_RULES = 6  # rules that are shown if one answer writes many
ANSWER_COLORS = {"y": palette.ALLOW, "n": palette.DENY}


def font_of(font_px: float, is_bold: bool = False) -> QFont:
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    font.setPixelSize(max(1, round(font_px)))
    font.setBold(is_bold)
    return font


class PageWriter:
    """Writes blocks one below the other. A writer is for one page: each of its public methods writes a whole one."""

    def __init__(self, width: float, font_px: float) -> None:
        self._page = PageLayout()
        self._em = font_px
        self._width = width
        self._font = font_of(font_px)
        self._bold = font_of(font_px, is_bold=True)
        self._cell = text_width("0", self._font)
        self._room = min(width - 3 * font_px, COLUMNS * self._cell)
        self._left = (width - self._room) / 2

    # pages

    def write_upper(self, view: PromptView, rows: int) -> PageLayout:
        self._gap(0.6)
        self._write_ends(view.why, view.waiting)
        if view.notice:
            self._gap(0.3)
            self._write_news(view.notice)
        self._gap(1.2)
        self._write_title(view.sentence)
        self._gap(0.6)
        self._write_warnings(view.warnings)
        self._gap(0.6)
        indent = self._spare(LABEL_COLUMNS + 1, (line.text for line in view.lines)) / 2
        for line in view.lines:
            self._write_fact(line, rows, indent)
        self._gap(0.4)
        return self._page

    def write_lower(self, view: PromptView) -> PageLayout:
        self._write_panel(view)
        self._gap(0.7)
        for hints in view.hints:
            self._write_hints(hints, view.is_ready)
        self._gap(0.3)
        self._write_time(view)
        self._gap(0.6)
        return self._page

    def write_waiting(self, view: PromptView) -> PageLayout:
        self._write_title(view.sentence)
        self._gap(0.8)
        if view.warnings:
            self._write_warnings(view.warnings)
            self._gap(0.8)
        if view.notice:
            self._write_news(view.notice)
            self._gap(0.8)
        if view.edit:
            self._write_panel(view)
            self._gap(0.8)
        for hints in view.hints:
            self._write_hints(hints, is_ready=True)
        return self._page

    def write_help(self, title: str, rows: tuple[HelpRow, ...], view: PromptView) -> PageLayout:
        self._gap(0.8)
        self._write_title((Span(title),))
        self._gap(0.6)
        heading, word = _columns(row.heading for row in rows), _columns(row.word for row in rows)
        self._left += self._spare(heading + word + 4, (row.meaning for row in rows)) / 2
        for row in rows:
            self._write_help_row(row, heading, word)
        self._left = (self._width - self._room) / 2
        self._gap(0.8)
        self._write_centred("any key goes back", palette.QUIET)
        self._gap(0.8)
        if view.is_question:
            self._write_time(view)
            self._gap(0.6)
        return self._page

    # blocks

    def _gap(self, ems: float) -> None:
        self._page.y += ems * self._em

    def _write(self, x: float, spans: tuple[Span, ...], style: Style, width: float, *, rows: int = 1) -> Paragraph:
        paragraph = Paragraph(spans, style, width, rows)
        self._page.add_text(x, self._page.y, paragraph)
        return paragraph

    def _write_centred(self, text: str, color: QColor, rows: int = 1) -> None:
        style = Style(self._font, color, is_centred=True)
        self._page.y += self._write(self._left, (Span(text),), style, self._room, rows=rows).height

    def _write_news(self, text: str) -> None:
        shown = shorten_end(text, cells_of(self._font, self._room, NEWS_ROWS))
        self._write_centred(shown, palette.QUIET, rows=NEWS_ROWS)

    def _write_warnings(self, warnings: tuple[str, ...]) -> None:
        for warning in warnings:
            self._write_centred(f"! {warning}", palette.WARNING, rows=2)

    def _write_title(self, spans: tuple[Span, ...]) -> None:
        style = Style(font_of(self._em * TITLE_SCALE, is_bold=True), is_centred=True)
        self._page.y += self._write(self._left, spans, style, self._room, rows=TITLE_ROWS).height

    def _write_ends(self, left: str, right: str) -> None:
        """Two texts at the ends of one row. The right one, which is shorter and more important, is shown whole."""
        right_width = text_width(right, self._bold) + self._cell
        self._write(self._left + self._room - right_width + self._cell, (Span(right),), Style(self._bold), right_width)
        style = Style(self._font, palette.QUIET)
        self._page.y += self._write(self._left, (Span(left),), style, self._room - right_width - self._cell).height

    def _spare(self, columns: int, texts: Iterator[str]) -> float:
        """The width that the longest text, right of `columns`, leaves free; half of it on each side centres them."""
        return max(
            0.0, self._room - columns * self._cell - max((text_width(one, self._bold) for one in texts), default=0)
        )

    def _write_fact(self, line: Line, rows: int, indent: float) -> None:
        label_width = LABEL_COLUMNS * self._cell
        label = Style(self._font, palette.QUIET)
        left = self._left + indent
        x = left + label_width - text_width(line.label, self._font) - self._cell
        self._write(x, (Span(line.label),), label, label_width)
        value_x = left + label_width + self._cell
        width = self._room - label_width - self._cell - indent
        self._page.y += self._write(value_x, line.spans, Style(self._font), width, rows=rows).height + 0.15 * self._em

    def _write_panel(self, view: PromptView) -> None:
        """The panel over the whole width, with the rules that y writes, or the line that is edited."""
        top = self._page.y
        self._gap(0.6)
        if view.edit:
            self._write_edit(view.edit)
        else:
            self._write_rules(view)
        self._gap(0.6)
        self._page.add_box(QRectF(0, top, self._width, self._page.y - top), palette.PANEL)

    def _write_rules(self, view: PromptView) -> None:
        rules = (view.rule, *view.more_rules)
        one = "the rule that y writes" if view.is_rule_kept else "what y allows"
        what = f"y and n answer {view.together}" if view.together else one
        self._write_centred(f"{what}, {view.lifetime}", palette.QUIET)
        self._gap(0.2)
        if len(rules) == 1:
            self._write_rule(view.rule, Style(self._font, is_centred=True))
        else:
            self._write_list(rules[:MAX_RULES])
        if len(rules) > MAX_RULES:
            self._write_centred(f"and {len(rules) - MAX_RULES} more", palette.QUIET)

    def _write_edit(self, edit: EditView) -> None:
        """The edited line with its cursor, and below it fault and hint, in two rows that are always there."""
        style = Style(self._font, covered=palette.PANEL, behind_covered=palette.COVERED, is_centred=True)
        spans = _edit_spans(edit, cells_of(self._font, self._width - 2 * self._em, RULE_ROWS))
        self._write_rule(spans, style)
        self._gap(0.3)
        self._write_centred(edit.fault or edit.lifetime, palette.WARNING if edit.fault else palette.COVERED)
        self._write_centred(edit.hint or " ", palette.QUIET)

    def _write_rule(self, spans: tuple[Span, ...], style: Style) -> None:
        self._page.y += self._write(self._em, spans, style, self._width - 2 * self._em, rows=RULE_ROWS).height

    def _write_list(self, lines: tuple[tuple[Span, ...], ...]) -> None:
        """A row for each line. All begin in the same column, so that the longest is centred."""
        paragraphs = [Paragraph(line, Style(self._font), self._width - 2 * self._em) for line in lines]
        x = (self._width - max(paragraph.width for paragraph in paragraphs)) / 2
        for paragraph in paragraphs:
            self._page.add_text(x, self._page.y, paragraph)
            self._page.y += paragraph.height

    def _write_hints(self, hints: tuple[KeyHint, ...], is_ready: bool) -> None:
        """A centred row of keys, or several if it is too long for one."""
        for row in self._rows_of(hints):
            x = (self._width - sum(map(self._hint_width, row)) + HINT_SPACE * self._cell) / 2
            for hint in row:
                self._write_hint(hint, x, is_ready)
                x += self._hint_width(hint)
            self._gap(1.75)

    def _rows_of(self, hints: tuple[KeyHint, ...]) -> Iterator[list[KeyHint]]:
        row: list[KeyHint] = []
        for hint in hints:
            if row and sum(map(self._hint_width, [*row, hint])) > self._width - self._cell:
                yield row
                row = []
            row.append(hint)
        if row:
            yield row

    def _hint_width(self, hint: KeyHint) -> float:
        """The width of a key and its text, with the space before the next key."""
        return text_width(hint.label, self._bold) + text_width(hint.text, self._font) + (1.5 + HINT_SPACE) * self._cell

    def _write_hint(self, hint: KeyHint, x: float, is_ready: bool) -> None:
        label_width = text_width(hint.label, self._bold) + self._cell
        text_left = x + label_width + 0.5 * self._cell
        cap = QRectF(x, self._page.y, label_width, 1.45 * self._em)
        self._page.add_box(cap, key_color(hint, is_ready), 0.2 * self._em)
        y = self._page.y
        self._page.y += 0.12 * self._em
        color = palette.TEXT if is_ready and not hint.is_dead else palette.QUIET
        label = Style(self._bold, palette.COVERED if hint.is_on else color)
        self._write(x + self._cell / 2, (Span(hint.label),), label, label_width)
        text = Style(self._font, palette.COVERED if hint.is_on else color)
        self._write(text_left, (Span(hint.text),), text, text_width(hint.text, self._font) + self._cell)
        self._page.y = y
        self._page.add_key(QRectF(x, y, self._hint_width(hint) - self._cell, cap.height()), hint.label)

    def _write_time(self, view: PromptView) -> None:
        number = f"{format_time_left(view.seconds_left)}, then deny"
        number_width = text_width(number, self._bold) + self._cell
        bar = QRectF(self._left, self._page.y + 0.4 * self._em, self._room - number_width - self._cell, 0.5 * self._em)
        self._page.add_box(bar, palette.BAR_EMPTY, 0.25 * self._em)
        filled = QRectF(bar)
        filled.setWidth(bar.width() * view.fraction_left)
        self._page.add_box(filled, palette.BAR, 0.25 * self._em)
        x = self._left + self._room - number_width + self._cell
        self._page.y += self._write(x, (Span(number),), Style(self._bold), number_width).height

    def _write_help_row(self, row: HelpRow, heading: int, word: int) -> None:
        x = self._left + heading * self._cell - text_width(row.heading, self._font)
        self._write(x, (Span(row.heading),), Style(self._font, palette.QUIET), self._room)
        word_x = self._left + (heading + 2 + word) * self._cell - text_width(row.word, self._bold)
        self._write(word_x, (Span(row.word),), Style(self._bold, palette.COVERED), self._room)
        meaning_x = self._left + (heading + word + 4) * self._cell
        width = (self._width + self._room) / 2 - meaning_x
        self._page.y += self._write(meaning_x, (Span(row.meaning),), Style(self._font), width, rows=2).height


def _edit_spans(edit: EditView, cells: int) -> tuple[Span, ...]:
    """As much of the edited line as fits around the cursor, which is marked as covered."""
    before, at, after = fit_around_cursor(edit, cells)
    at = "\u00a0" if at == " " else at  # Qt does not paint a blank at the end of a row
    return (Span(before), Span(at, is_covered=True), Span(after))


def _columns(texts: Iterator[str]) -> int:
    return max(map(len, texts))


def key_color(hint: KeyHint, is_ready: bool) -> QColor:
    if not is_ready or hint.is_dead:
        return palette.KEY_WAITING
    return palette.KEY_ON if hint.is_on else ANSWER_COLORS.get(hint.label, palette.KEY)
