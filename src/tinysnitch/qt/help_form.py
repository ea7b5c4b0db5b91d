"""The widgets of a help page: headings, keys or words, and what they mean."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from tinysnitch.qt.prompt_form import TITLE_SCALE, take
from tinysnitch.qt.span_label import SpanLabel
from tinysnitch.qt.theme import Look
from tinysnitch.view.help_view import HelpRow
from tinysnitch.view.span import format_time_left

_COLUMNS = 3


class HelpForm(QWidget):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._title, self._back = SpanLabel(self), SpanLabel(self)
        self._cells: list[SpanLabel] = []
        self._column, self._grid = QVBoxLayout(self), QGridLayout()
        self._column.addWidget(self._title)
        self._column.addLayout(self._grid)
        self._column.addStretch(1)
        self._column.addWidget(self._back)
        self._grid.setColumnStretch(_COLUMNS - 1, 1)

    def height_for(self, width: int) -> int:
        self._column.activate()
        return self._column.totalHeightForWidth(width)

    def show_help(self, title: str, rows: tuple[HelpRow, ...], seconds_left: int | None, look: Look) -> None:
        """`seconds_left` is of the question behind the help; None: there is none."""
        quiet = look.style(look.theme.quiet, 0.9)
        self._column.setContentsMargins(look.px(1.2), look.px(1.1), look.px(1.2), look.px(0.9))
        self._column.setSpacing(look.px(0.75))
        self._grid.setHorizontalSpacing(look.px(0.8))
        self._grid.setVerticalSpacing(look.px(0.15))
        self._title.show_text(title, look.style(scale=TITLE_SCALE, is_bold=True))
        word, meaning = look.style(look.theme.covered, 0.9, is_bold=True), look.style(scale=0.9)
        cells = take(self._cells, _COLUMNS * len(rows), self._make_cell)
        for number, row in enumerate(rows):
            heading_cell, word_cell, meaning_cell = cells[_COLUMNS * number :][:_COLUMNS]
            for cell, text, style in ((heading_cell, row.heading, quiet), (word_cell, row.word, word)):
                cell.show_text(text, style)
                cell.setMinimumWidth(cell.sizeHint().width())
            meaning_cell.show_text(row.meaning, meaning, 2)
            meaning_cell.setAccessibleName(f"{row.word}: {row.meaning}")
        left = "" if seconds_left is None else f", {format_time_left(seconds_left)}, then deny"
        self._back.show_text(f"any key goes back{left}", quiet)

    def _make_cell(self) -> SpanLabel:
        row, column = divmod(len(self._cells), _COLUMNS)
        cell = SpanLabel(self)
        top = Qt.AlignmentFlag.AlignTop if column < _COLUMNS - 1 else Qt.AlignmentFlag(0)
        self._grid.addWidget(cell, row, column, top)
        return cell
