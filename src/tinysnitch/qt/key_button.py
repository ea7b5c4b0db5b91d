"""A key that the window shows, as a button: its label, what it does, and whether it counts now."""

import time

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QEnterEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QPushButton, QWidget

from tinysnitch.qt.keyboard import typed_at
from tinysnitch.qt.paragraph import text_width
from tinysnitch.qt.theme import Look
from tinysnitch.view.keys import KEYS
from tinysnitch.view.prompt_view import KeyHint

ALLOW, DENY = "y", "n"
_NAME_OF_LABEL = {key.label: key.names[0] for key in KEYS} | {"Enter": "enter"}
_LIGHTER, _DARKER = 112, 112  # percent: under the mouse, and while it is pressed


class KeyButton(QPushButton):
    """It never takes the keyboard, which is the window's: Tab walks to the next question, a blank presses nothing."""

    chosen = Signal(str, float)  # the name of the key, and when its button was pressed

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._shown: tuple[KeyHint, Look, bool] | None = None
        self._pressed_s: float | None = None  # None: pressed by other means than the mouse, as by a screen reader
        self.clicked.connect(self._choose)

    @property
    def label(self) -> str:
        return self._shown[0].label if self._shown else ""

    @property
    def is_answer(self) -> bool:
        return self.label in (ALLOW, DENY)

    def show_hint(self, hint: KeyHint, look: Look, is_ready: bool) -> None:
        """Until it `is_ready` it looks as if it did nothing. It is not switched off: for a click another moment counts
        (view/key_guard.py)."""
        if (hint, look, is_ready) == self._shown:
            return
        self._shown = hint, look, is_ready
        self.setText(f"{hint.label} {hint.text}")
        self.setAccessibleName(f"{hint.label}: {hint.text}{', chosen' if hint.is_on else ''}")
        self.setEnabled(not hint.is_dead)
        self.updateGeometry()
        self.update()

    def _choose(self) -> None:
        at_s = time.monotonic() if self._pressed_s is None else self._pressed_s
        self._pressed_s = None
        if name := _NAME_OF_LABEL.get(self.label):
            self.chosen.emit(name, at_s)

    # what Qt calls

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() is Qt.MouseButton.LeftButton:
            self._pressed_s = typed_at(event.timestamp(), time.monotonic())
        super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        self._pressed_s = None  # it was let go beside the button

    def enterEvent(self, event: QEnterEvent) -> None:
        super().enterEvent(event)
        self.update()

    def sizeHint(self) -> QSize:
        if self._shown is None:
            return QSize(0, 0)
        hint, look, _is_ready = self._shown
        scale, padding = self._scale, look.px(0.5)
        label = text_width(hint.label, look.font(scale, is_bold=True))
        width = label + text_width(hint.text, look.font(scale)) + look.px(0.45) * bool(hint.text) + 2 * padding
        return QSize(round(width) + 1, look.px(2.6 if self.is_answer else 1.75))

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    @property
    def _scale(self) -> float:
        return 1.15 if self.is_answer else 0.9

    def paintEvent(self, _event: QPaintEvent) -> None:
        if self._shown is None:
            return
        hint, look, is_ready = self._shown
        counts = is_ready and not hint.is_dead
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._background(hint, look, counts))
        painter.drawRoundedRect(QRectF(self.rect()), look.em * 0.35, look.em * 0.35)
        color = self._color(hint, look, counts)
        label, text = look.font(self._scale, is_bold=True), look.font(self._scale)
        gap = look.px(0.45) if hint.text else 0
        label_width = text_width(hint.label, label)
        x = (self.width() - label_width - gap - text_width(hint.text, text)) / 2
        for at, words, font in ((x, hint.label, label), (x + label_width + gap, hint.text, text)):
            painter.setFont(font)
            painter.setPen(color)
            place = QRectF(at, 0, self.width(), self.height())
            painter.drawText(place, Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine, words)
        painter.end()

    def _background(self, hint: KeyHint, look: Look, counts: bool) -> QColor:
        theme = look.theme
        if not counts:
            return theme.key_waiting
        usual = theme.key_on if hint.is_on else theme.key
        color = {ALLOW: theme.allow, DENY: theme.deny}.get(hint.label, usual)
        if self.isDown():
            return color.darker(_DARKER)
        return color.lighter(_LIGHTER) if self.underMouse() else color

    def _color(self, hint: KeyHint, look: Look, counts: bool) -> QColor:
        if not counts:
            return look.theme.quiet
        if self.is_answer:
            return look.theme.on_answer
        return look.theme.covered if hint.is_on else look.theme.text


class KeyRows(QWidget):
    """Buttons in rows, from left to right, in so many rows as they need."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        policy = self.sizePolicy()
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self._buttons: list[KeyButton] = []
        self._gap = 0

    def show_buttons(self, buttons: list[KeyButton], gap: int) -> None:
        self._buttons, self._gap = buttons, gap
        self.updateGeometry()
        self._place(self.width())

    def _place(self, width: int, *, is_trial: bool = False) -> int:
        """Put the buttons into rows of this width. Returns the height of the rows."""
        x, y, height = 0, 0, 0
        for button in self._buttons:
            size = button.sizeHint()
            if x and x + size.width() > width:
                x, y = 0, y + height + self._gap
            if not is_trial:
                button.setGeometry(x, y, size.width(), size.height())
            x, height = x + size.width() + self._gap, size.height()
        return y + height

    # what Qt calls

    def heightForWidth(self, width: int) -> int:
        return self._place(width, is_trial=True)

    def sizeHint(self) -> QSize:
        width = sum(button.sizeHint().width() + self._gap for button in self._buttons)
        return QSize(width, self.heightForWidth(width))

    def resizeEvent(self, _event: object) -> None:
        self._place(self.width())
