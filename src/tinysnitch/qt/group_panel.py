"""The list of questions that are answered together: so many rows as a dialog always has room for, and no name cut."""

import time

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QMouseEvent, QPalette
from PySide6.QtWidgets import QHBoxLayout, QWidget

from tinysnitch.qt.keyboard import typed_at
from tinysnitch.qt.panel import Panel, take
from tinysnitch.qt.span_label import SpanLabel
from tinysnitch.qt.theme import Look
from tinysnitch.view.group_view import GroupView, ShownRow
from tinysnitch.view.span import Span, Weight, text_of

COLUMNS, ROWS = 72, 12  # of the list
_BREAKS = 3  # rows that the label of one may take, in a font in which COLUMNS do not fit
_AT, _LEFT_OUT, _TAKEN = ">", "-", " "


class RowLabel(SpanLabel):
    """A row of the list, which can be clicked."""

    pointed = Signal(int, float)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._prompt_id = 0

    def show_row(self, row: ShownRow, look: Look) -> None:
        self._prompt_id = row.prompt_id
        at = _AT if row.is_cursor and row.is_first else " "
        mark = _LEFT_OUT if row.is_left_out and row.is_first else _TAKEN
        before = Span(f"{at}{mark} ".replace(" ", "\u00a0"), weight=Weight.STRONG)
        self.show_spans((before, *row.spans), look.style(scale=0.9, is_fixed=True), _BREAKS)
        palette = self.palette()
        palette.setColor(QPalette.ColorRole.Window, look.theme.key)
        self.setPalette(palette)
        self.setAutoFillBackground(row.is_cursor)
        told = [text_of(row.spans), *(["left out"] if row.is_left_out else []), *(["chosen"] if row.is_cursor else [])]
        self.setAccessibleName(", ".join(told))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() is Qt.MouseButton.LeftButton:
            self.pointed.emit(self._prompt_id, typed_at(event.timestamp(), time.monotonic()))


class GroupPanel(Panel):
    pointed = Signal(int, float)  # a question was clicked: its id, and when

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, "questions")
        self._place, self._unseen = SpanLabel(self), SpanLabel(self)
        ends = QHBoxLayout()
        ends.addWidget(self._place, 1)
        ends.addWidget(self._unseen)
        self.column.addLayout(ends)
        self._rows: list[RowLabel] = []

    def show_group(self, group: GroupView | None, look: Look) -> None:
        self.setVisible(group is not None)
        if group is None:
            return
        self.show_look(look)
        self._place.show_text(group.place, look.style(look.theme.quiet, 0.9))
        self._unseen.show_text(
            f"{group.unseen_count} not seen yet" if group.unseen_count else " ", look.style(scale=0.9)
        )
        self._unseen.setMinimumWidth(self._unseen.sizeHint().width())
        for label, row in zip(take(self._rows, len(group.rows), self._make_row), group.rows, strict=True):
            label.show_row(row, look)

    def _make_row(self) -> RowLabel:
        label = RowLabel(self)
        label.pointed.connect(self.pointed)
        self.column.addWidget(label)
        return label
