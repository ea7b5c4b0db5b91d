"""A key that the window shows, as a button: its label, what it does, and whether it counts now."""

import time

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QEnterEvent, QFontMetricsF, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QPushButton, QWidget

from tinysnitch.core.model.verdict import Verdict
from tinysnitch.qt.keyboard import typed_at
from tinysnitch.qt.paragraph import text_width
from tinysnitch.qt.theme import Look
from tinysnitch.view.prompt_view import KeyHint

LABEL_HEIGHT = 1.25
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

    def show_hint(self, hint: KeyHint, look: Look, is_ready: bool) -> None:
        """Until it `is_ready` it looks as if it did nothing. It is not switched off: for a click another moment counts
        (view/key_guard.py)."""
        if (hint, look, is_ready) == self._shown:
            return
        self._shown = hint, look, is_ready
        named = f"{hint.label}: {hint.text}" if hint.text else hint.label
        self.setAccessibleName(f"{named}, chosen" if hint.is_on else named)
        self.setEnabled(not hint.is_dead)
        self.updateGeometry()
        self.update()

    def _choose(self) -> None:
        at_s = time.monotonic() if self._pressed_s is None else self._pressed_s
        self._pressed_s = None
        if self._shown:
            self.chosen.emit(self._shown[0].name, at_s)

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
        scale, padding = _scale_of(hint), look.px(0.5)
        label = text_width(hint.label, look.font(scale, is_bold=True))
        width = label + text_width(hint.text, look.font(scale)) + look.px(0.45) * bool(hint.text) + 2 * padding
        return QSize(round(width) + 1, look.px(_height_of(hint)))

    def minimumSizeHint(self) -> QSize:
        return QSize(0, self.sizeHint().height())

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
        label, font = look.font(_scale_of(hint), is_bold=True), look.font(_scale_of(hint))
        gap = look.px(0.45) if hint.text else 0
        label_width = text_width(hint.label, label)
        room = self.width() - 2 * look.px(0.4) - label_width - gap
        text = QFontMetricsF(font).elidedText(hint.text, Qt.TextElideMode.ElideRight, room + 1)
        x = (self.width() - label_width - gap - text_width(text, font)) / 2
        for at, words, of in ((x, hint.label, label), (x + label_width + gap, text, font)):
            painter.setFont(of)
            painter.setPen(color)
            place = QRectF(at, 0, self.width(), self.height())
            painter.drawText(place, Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine, words)
        painter.end()

    def _background(self, hint: KeyHint, look: Look, counts: bool) -> QColor:
        theme = look.theme
        if not counts:
            return theme.key_waiting
        usual = theme.key_on if hint.is_on else theme.key
        answers = {Verdict.ALLOW: theme.allow, Verdict.DENY: theme.deny}
        color = answers.get(hint.verdict, usual) if hint.verdict else usual
        if self.isDown():
            return color.darker(_DARKER)
        return color.lighter(_LIGHTER) if self.underMouse() else color

    def _color(self, hint: KeyHint, look: Look, counts: bool) -> QColor:
        if not counts:
            return look.theme.quiet
        if hint.verdict:
            return look.theme.on_answer
        return look.theme.covered if hint.is_on else look.theme.text


def _scale_of(hint: KeyHint) -> float:
    return 1.15 if hint.verdict else 0.9


def _height_of(hint: KeyHint) -> float:
    """In the size of letters. A label alone is no higher than the text beside it in a help page."""
    if hint.verdict:
        return 2.6
    return 1.75 if hint.text else LABEL_HEIGHT


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
