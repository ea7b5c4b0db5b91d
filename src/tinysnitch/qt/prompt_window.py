"""The window: a dialog, or over the whole screen. It shows what it is given, and emits which keys were pressed or
clicked. It decides nothing.

1. A dialog is as wide as WIDTH of its type and as high as its text needs. It grows within a question, and never
   shrinks: no button moves away from under the mouse because a line became shorter.
2. If the text is higher than the screen, larger type gets as small as the desktop's; then facts get fewer rows; then
   the type gets smaller still.
3. A screen reader is told what is asked once it comes into sight: sentence, warnings, rule and keys.
"""

import time
from collections.abc import Callable, Iterator

import msgspec
from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QClipboard,
    QCloseEvent,
    QCursor,
    QFontInfo,
    QGuiApplication,
    QIcon,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QDialog, QWidget

from tinysnitch.protocol.messages import PromptSettings, WindowPosition, WindowSize
from tinysnitch.qt.help_form import HelpForm
from tinysnitch.qt.key_button import KeyButton
from tinysnitch.qt.keyboard import HeldKeys, name_of_key, typed_at
from tinysnitch.qt.prompt_form import PromptForm
from tinysnitch.qt.theme import Look, find_theme
from tinysnitch.qt.window_options import WindowOptions
from tinysnitch.view.help_view import HelpRow
from tinysnitch.view.keys import is_list_move
from tinysnitch.view.prompt_view import PromptView
from tinysnitch.view.span import text_of

WIDTH = 56  # of the text, in sizes of the type
HEIGHT = 36  # and height of the text that fills a screen
OF_SCREEN = 0.94  # the part of the screen that a dialog takes at most
MIN_EM = 6.0
SHRINK = 0.92  # factor between two sizes of the type that are tried
VALUE_ROWS = (4, 2, 1)  # rows that a fact may take; the first number that fits is used
_PX_OF_PT = 96 / 72  # an inch has 96 logical pixels
_UNLIMITED = QSize(16_777_215, 16_777_215)  # QWIDGETSIZE_MAX


class PromptWindow(QDialog):
    pressed = Signal(str, float)  # the key's name, and when it was typed
    clicked = Signal(str, float)  # the name of the key whose button was clicked, and when
    touched = Signal(float)  # the window was clicked beside its buttons, at this time
    focused = Signal()  # the window got the keyboard
    pasted = Signal(str, float)  # the text, and when the paste was asked for
    pointed = Signal(int, float)  # a question of the list was clicked: its id, and when
    edited = Signal(str, int)  # the edited line was changed by other means than keys: its text and cursor
    closed = Signal()
    painted = Signal()

    def __init__(self, options: WindowOptions = WindowOptions()) -> None:  # noqa: B008 (it cannot change)
        super().__init__()
        self._options = options
        self._settings = options.over(PromptSettings())
        self.is_editor = False  # a line is edited: held keys repeat, and text can be pasted
        self.is_list = False  # questions are listed: held keys go on through it, and the wheel scrolls
        self._held = HeldKeys()
        self._form = PromptForm(self, self._make_button)
        self._help = HelpForm(self, self._make_button)
        self._form.field.changed.connect(self.edited)
        self._form.list.pointed.connect(self.pointed)
        self._sight = ""  # what a screen reader was told of last
        self._least_height = 0
        self._render: Callable[[Look], PromptForm | HelpForm] | None = None
        self.setWindowFlag(Qt.WindowType.WindowStaysOnTopHint)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setWindowTitle("tinysnitch")
        self.setWindowIcon(QIcon.fromTheme("security-high"))
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._fit)

    # what the agent calls

    def take_settings(self, settings: PromptSettings) -> None:
        """Take the daemon's settings. A window in sight keeps its size and place; its colours change at once."""
        own = self._options.over(settings)
        size = self._settings.window if self.isVisible() else own.window
        self._settings = msgspec.structs.replace(own, window=size)

    def show_view(self, view: PromptView) -> None:
        """Show what is asked, now and in each size that the window gets."""

        def render(look: Look) -> PromptForm | HelpForm:
            self._form.show_view(view, look)
            return self._form

        self._show(view.title, render)
        (self._form.field if view.edit else self).setFocus()
        self._tell_reader(view)

    def show_help(self, title: str, rows: tuple[HelpRow, ...], view: PromptView) -> None:
        """Show a help page, with the time that is left for the question in sight."""

        def render(look: Look) -> PromptForm | HelpForm:
            self._help.show_help(title, rows, view, look)
            return self._help

        self._show(view.title, render)
        self.setFocus()

    def appear(self) -> None:
        """Show the window in front, and ask for the keyboard."""
        self._held.forget()  # if the last answer hid the window, the release of its key went elsewhere
        if not self._is_full:
            self.setWindowState(Qt.WindowState.WindowNoState)  # after it had the whole screen
            self._place()
            self.show()
        elif QGuiApplication.platformName().startswith("wayland"):
            # No window can stay on top there (xdg-shell), but a new full-screen window comes to the front.
            self.showFullScreen()
        else:
            self.setGeometry(self._screen_room())
            self.showMaximized()
        self.raise_()
        self.activateWindow()

    @property
    def is_key_down(self) -> bool:
        return self._held.is_any

    # how it looks

    def _show(self, title: str, render: Callable[[Look], PromptForm | HelpForm]) -> None:
        if title != self.windowTitle() or not self.isVisible():
            self._least_height = 0
        self.setWindowTitle(title)
        self._render = render
        self._fit()

    def _fit(self) -> None:
        """Show the text as large as the screen allows, and give the window its size."""
        if self._render is None:
            return
        room = self.size() if self._is_filling else self._screen_room().size() * OF_SCREEN
        for look in self._looks(room):
            form = self._render(look)
            width = min(room.width(), look.px(WIDTH))
            height = form.height_for(width)
            if height <= room.height():
                break
        for other in (self._form, self._help):
            other.setVisible(other is form)
        if self._is_filling:
            form.setGeometry((room.width() - width) // 2, max(0, (room.height() - height) // 2), width, height)
        else:
            self._least_height = min(max(height, self._least_height), room.height())
            form.setGeometry(0, 0, width, self._least_height)
            self._resize_dialog(QSize(width, self._least_height))
        self.update()

    def _looks(self, room: QSize) -> Iterator[Look]:
        """The looks to try: the wanted one first, the smallest last."""
        theme, em = find_theme(self._settings.theme), self._wanted_em(room)
        usual = min(em, _desktop_em())
        while em > usual:
            yield Look(theme, em, VALUE_ROWS[0])
            em = max(em * SHRINK, usual)
        while True:
            for rows in VALUE_ROWS:
                yield Look(theme, em, rows)
            if em <= MIN_EM:
                return
            em = max(em * SHRINK, MIN_EM)

    def _wanted_em(self, room: QSize) -> float:
        if self._options.font_pt:
            return self._options.font_pt * _PX_OF_PT
        if self._is_full:
            return max(min(room.width() / WIDTH, room.height() / HEIGHT), MIN_EM)
        return _desktop_em()

    @property
    def _is_full(self) -> bool:
        return self._settings.window is WindowSize.FULL

    @property
    def _is_filling(self) -> bool:
        """Whether the window has its size from the screen, and not from its text."""
        return self._is_full and self.isVisible()

    def _screen_room(self) -> QRect:
        screen = QGuiApplication.screenAt(QCursor.pos()) or QGuiApplication.primaryScreen()
        return (self.screen() if self.isVisible() else screen).availableGeometry()

    def _resize_dialog(self, size: QSize) -> None:
        if self._is_full:
            self.setMinimumSize(QSize(0, 0))
            self.setMaximumSize(_UNLIMITED)
            return
        self.setFixedSize(size)  # so that a desktop of tiles shows it as a dialog, too
        if self.isVisible():  # it may have grown below the end of the screen
            room, frame = self._screen_room(), self.frameGeometry()
            if frame.bottom() > room.bottom():
                self.move(frame.left(), max(room.top(), room.bottom() - frame.height()))

    def _place(self) -> None:
        room, size = self._screen_room(), self.size()
        if self._settings.position is WindowPosition.CORNER:
            margin = (room.width() - int(room.width() * OF_SCREEN)) // 4
            self.move(room.right() - size.width() - margin, room.top() + margin)
        else:
            self.move(room.center() - QPoint(size.width() // 2, size.height() // 2))

    def _make_button(self, parent: QWidget) -> KeyButton:
        button = KeyButton(parent)
        button.chosen.connect(self.clicked)
        return button

    def _tell_reader(self, view: PromptView) -> None:
        """Have a screen reader say what came into sight."""
        listed = [text_of(row.spans) for row in view.group.rows] if view.group else []
        lasting = (one.partition(",")[0] if one == view.countdown else one for one in view.warnings)
        parts = [view.title, *listed, *(f"warning: {one}" for one in lasting), view.notice]
        if view.is_question and not view.edit:
            keys = ", ".join(f"{hint.label} {hint.text}" for row in view.everyday for hint in row)
            rules = ", or ".join(map(text_of, view.rules))
            parts += [f"rule: {rules}", view.wider, f"keys: {keys}"]
        sight = ". ".join(filter(None, parts))
        if sight != self._sight:
            self._sight = sight
            self.setAccessibleDescription(sight)
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, sight))

    # what Qt calls

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._is_filling:
            self._fit()

    def paintEvent(self, _event: QPaintEvent) -> None:
        theme = find_theme(self._settings.theme)
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.background)
        if not self._is_filling:
            painter.setPen(theme.edge)
            # 0.5: half of a line's width is on either side of where it is drawn, on a screen of any scale.
            painter.drawRect(QRectF(0.5, 0.5, self.width() - 1, self.height() - 1))
        painter.end()
        self.painted.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        name = name_of_key(event, is_text=self.is_editor)
        is_repeat = self._held.press(event)
        if event.matches(QKeySequence.StandardKey.Paste):
            if not is_repeat:
                self._paste(QClipboard.Mode.Clipboard, event.timestamp())
        elif name and (not is_repeat or self._repeats(name)):
            self.pressed.emit(name, typed_at(event.timestamp(), time.monotonic()))

    def _repeats(self, name: str) -> bool:
        """Whether the key goes on while it is held."""
        return (self.is_editor and name != "enter") or (self.is_list and is_list_move(name))

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.is_list and event.angleDelta().y():
            name = "wheel up" if event.angleDelta().y() > 0 else "wheel down"
            self.clicked.emit(name, typed_at(event.timestamp(), time.monotonic()))

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        self._held.release(event)

    def focusNextPrevChild(self, _is_next: bool) -> bool:
        return False  # Tab is a key of ours

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.ActivationChange:
            if self.isActiveWindow():
                self.focused.emit()
            else:
                self._held.forget()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        at_s = typed_at(event.timestamp(), time.monotonic())
        if event.button() is Qt.MouseButton.MiddleButton:
            self._paste(QClipboard.Mode.Selection, event.timestamp())
        elif event.button() is Qt.MouseButton.LeftButton:
            self.touched.emit(at_s)

    def _paste(self, mode: QClipboard.Mode, stamp_ms: int) -> None:
        """Paste into the edited line. Without one nothing is read: another program would have to send its text."""
        if self.is_editor:
            self.pasted.emit(QGuiApplication.clipboard().text(mode), typed_at(stamp_ms, time.monotonic()))

    def closeEvent(self, event: QCloseEvent) -> None:
        event.ignore()
        self.closed.emit()


def _desktop_em() -> float:
    return float(QFontInfo(QGuiApplication.font()).pixelSize())
