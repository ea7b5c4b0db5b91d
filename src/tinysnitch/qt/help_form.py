"""The widgets of a help page: headings, keys or words, and what they mean. A key is a button, which presses it."""

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from tinysnitch.qt.key_button import LABEL_HEIGHT, KeyButton, KeyRows
from tinysnitch.qt.panel import take
from tinysnitch.qt.prompt_form import TITLE_SCALE
from tinysnitch.qt.span_label import SpanLabel
from tinysnitch.qt.theme import Look
from tinysnitch.view.help_view import HelpRow
from tinysnitch.view.keys import is_answer
from tinysnitch.view.prompt_view import KeyHint, PromptView
from tinysnitch.view.span import format_time_left

MakeButton = Callable[[QWidget], KeyButton]


class HelpForm(QWidget):
    def __init__(self, parent: QWidget, make_button: MakeButton) -> None:
        super().__init__(parent)
        self._make_button = make_button
        self._title, self._back = SpanLabel(self), SpanLabel(self)
        self._rows: list[_Row] = []
        self._column, self._grid = QVBoxLayout(self), QGridLayout()
        self._column.addWidget(self._title)
        self._column.addLayout(self._grid)
        self._column.addStretch(1)
        self._column.addWidget(self._back)

    def height_for(self, width: int) -> int:
        self._column.activate()
        return self._column.totalHeightForWidth(width)

    def show_help(self, title: str, rows: tuple[HelpRow, ...], view: PromptView, look: Look) -> None:
        """`view` is of the question behind the help."""
        self._column.setContentsMargins(look.px(1.2), look.px(1.1), look.px(1.2), look.px(0.9))
        self._column.setSpacing(look.px(0.75))
        self._grid.setHorizontalSpacing(look.px(0.8))
        self._grid.setVerticalSpacing(look.px(0.15))
        self._title.show_text(title, look.style(scale=TITLE_SCALE, is_bold=True))
        while len(self._rows) < len(rows):
            self._rows.append(_Row(self, self._grid, len(self._rows), self._make_button))
        # What answers has no button: nobody should answer a question that is not in sight.
        hints = {hint.label: hint for row in view.hints for hint in row if not is_answer(hint.name)}
        for number, each in enumerate(self._rows):
            row = rows[number] if number < len(rows) else None
            self._grid.setRowMinimumHeight(number, look.px(LABEL_HEIGHT) if row else 0)
            of_row = [hints[word] for word in row.word.split() if word in hints] if row else []
            each.show_row(row, of_row, look, is_ready=view.is_ready)
        left = f", {format_time_left(view.seconds_left)}, then deny" if view.is_question else ""
        self._back.show_text(f"any key goes back{left}", look.style(look.theme.quiet, 0.9))


class _Row:
    """Heading, buttons or word, and meaning, in a row of a grid."""

    def __init__(self, form: QWidget, grid: QGridLayout, number: int, make_button: MakeButton) -> None:
        self._make_button = make_button
        self._heading, self._word, self._keys, self._meaning = (
            SpanLabel(form),
            SpanLabel(form),
            KeyRows(form),
            SpanLabel(form),
        )
        self._buttons: list[KeyButton] = []
        middle = Qt.AlignmentFlag.AlignVCenter
        for column, cell in ((0, self._heading), (1, self._word), (1, self._keys), (2, self._meaning)):
            grid.addWidget(cell, number, column, middle)
        grid.setColumnStretch(2, 1)

    def show_row(self, row: HelpRow | None, hints: list[KeyHint], look: Look, *, is_ready: bool) -> None:
        """Show a row, with the buttons of its keys if it has some; None: there is none."""
        self._heading.setVisible(row is not None)
        self._meaning.setVisible(row is not None)
        self._word.setVisible(row is not None and not hints)
        self._keys.setVisible(row is not None and bool(hints))
        if row is None:
            return
        self._heading.show_text(row.heading, look.style(look.theme.quiet, 0.9))
        self._word.show_text(row.word, look.style(look.theme.covered, 0.9, is_bold=True))
        buttons = take(self._buttons, len(hints), lambda: self._make_button(self._keys))
        for button, hint in zip(buttons, hints, strict=True):
            button.show_hint(KeyHint(hint.label, "", hint.is_on, hint.is_dead), look, is_ready)
            button.setAccessibleDescription(row.meaning)
        self._keys.show_buttons(buttons, look.px(0.2))
        for cell in (self._heading, self._word, self._keys):
            cell.setMinimumWidth(cell.sizeHint().width())
        self._word.setBuddy(self._meaning)
        self._meaning.show_text(row.meaning, look.style(scale=0.9), 2)
