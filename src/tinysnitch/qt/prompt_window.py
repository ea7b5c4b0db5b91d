"""The window: paints the page it is given, and emits which keys were pressed or clicked. It decides nothing."""

import time
from collections.abc import Callable

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import (
    QClipboard,
    QCloseEvent,
    QFocusEvent,
    QGuiApplication,
    QIcon,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QRasterWindow,
    QResizeEvent,
)

from tinysnitch.qt.keyboard import HeldKeys, name_of_key, typed_at
from tinysnitch.qt.page_layout import PageLayout
from tinysnitch.qt.palette import BACKGROUND, EDGE
from tinysnitch.qt.prompt_page import PageSize
from tinysnitch.view.keys import KEYS

_WHOLE_SCREEN = Qt.WindowState.WindowMaximized | Qt.WindowState.WindowFullScreen
_PX_OF_PT = 96 / 72  # an inch has 96 logical pixels
_NAME_OF_LABEL = {key.label: key.names[0] for key in KEYS} | {"Enter": "enter"}


class PromptWindow(QRasterWindow):
    pressed = Signal(str, float)  # the key's name, and when it was typed
    clicked = Signal(str, float)  # the name of the key whose label was clicked, and when
    focused = Signal()  # the window got the keyboard
    pasted = Signal(str, float)  # the text, and when the paste was asked for
    closed = Signal()
    painted = Signal()

    def __init__(self, font_pt: float | None = None) -> None:
        super().__init__()
        self._font_px = font_pt * _PX_OF_PT if font_pt else None
        self.is_editor = False  # a line is edited: held keys repeat, and text can be pasted
        self._held = HeldKeys()
        self._page = PageLayout()
        self._build: Callable[[PageSize], PageLayout] | None = None
        self.setFlag(Qt.WindowType.WindowStaysOnTopHint)
        self.setTitle("tinysnitch")
        self.setIcon(QIcon.fromTheme("security-high"))

    def show_page(self, title: str, build: Callable[[PageSize], PageLayout]) -> None:
        """Show the page that `build` makes for the window's size, now and whenever the window is resized."""
        self._build = build
        self.setTitle(title)
        self._rebuild()

    def appear(self) -> None:
        """Show the window over the whole screen, and ask for the keyboard."""
        self._held.forget()  # if the last answer hid the window, the release of its key went elsewhere
        if QGuiApplication.platformName().startswith("wayland"):
            # No window can stay on top there (xdg-shell), but a new full-screen window comes to the front.
            self.showFullScreen()
            return
        self.setGeometry(QGuiApplication.primaryScreen().availableGeometry())
        self.showMaximized()
        self.raise_()
        self.requestActivate()

    @property
    def page(self) -> PageLayout:
        return self._page

    @property
    def is_key_down(self) -> bool:
        return self._held.is_any

    def _rebuild(self) -> None:
        if self._build:
            self._page = self._build(PageSize.of(self.width(), self.height(), self._font_px))
            self.update()

    # what Qt calls

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._rebuild()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(0, 0, self.width(), self.height(), BACKGROUND)
        painter.setPen(Qt.PenStyle.NoPen)
        self._page.paint(painter)
        if not self.windowStates() & _WHOLE_SCREEN:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
            painter.setPen(EDGE)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            # 0.5: half of a line's width is on either side of where it is drawn, on a screen of any scale.
            painter.drawRect(QRectF(0.5, 0.5, self.width() - 1, self.height() - 1))
        painter.end()
        self.painted.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        name = name_of_key(event)
        is_repeat = self._held.press(event)
        if event.matches(QKeySequence.StandardKey.Paste):
            if not is_repeat:
                self._paste(QClipboard.Mode.Clipboard, event.timestamp())
        elif name and (not is_repeat or (self.is_editor and name != "enter")):
            self.pressed.emit(name, typed_at(event.timestamp(), time.monotonic()))

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        self._held.release(event)

    def focusInEvent(self, _event: QFocusEvent) -> None:
        self.focused.emit()

    def focusOutEvent(self, _event: QFocusEvent) -> None:
        self._held.forget()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        label = self._page.find_key(event.position())
        if event.button() is Qt.MouseButton.MiddleButton:
            self._paste(QClipboard.Mode.Selection, event.timestamp())
        elif label in _NAME_OF_LABEL and event.button() is Qt.MouseButton.LeftButton:
            self.clicked.emit(_NAME_OF_LABEL[label], typed_at(event.timestamp(), time.monotonic()))

    def _paste(self, mode: QClipboard.Mode, stamp_ms: int) -> None:
        """Paste into the edited line. Without one nothing is read: another program would have to send its text."""
        if self.is_editor:
            self.pasted.emit(QGuiApplication.clipboard().text(mode), typed_at(stamp_ms, time.monotonic()))

    def closeEvent(self, event: QCloseEvent) -> None:
        event.ignore()
        self.closed.emit()
