"""The field of a rule that is edited by hand. It shows the line of the prompt's state, which takes the keys itself.

So a line is edited alike in the window and in a terminal. What does not come as a key is told by `changed`: the mouse
moved the cursor, an input method wrote a letter, or a screen reader changed the text.
"""

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPalette
from PySide6.QtWidgets import QLineEdit, QWidget

from tinysnitch.qt.paragraph import utf16_length
from tinysnitch.qt.theme import Look
from tinysnitch.view.edit_view import EditView


class LineField(QLineEdit):
    changed = Signal(str, int)  # the text and its cursor, counted in characters

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("rule")
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)
        self.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        self._is_showing = False
        self.textChanged.connect(self._tell)
        self.cursorPositionChanged.connect(self._tell)

    def show_edit(self, edit: EditView, look: Look, *, is_lost: bool) -> None:
        self._is_showing = True
        self.setReadOnly(is_lost)
        self.setFont(look.font(is_fixed=True))
        self.setAccessibleDescription(". ".join(filter(None, (edit.fault or edit.lifetime, edit.hint))))
        self.setPalette(_palette_of(look, look.theme.warning if edit.fault else look.theme.covered))
        if self.text() != edit.line:
            self.setText(edit.line)
        place = utf16_length(edit.line[: edit.cursor])
        if self.cursorPosition() != place or self.hasSelectedText():
            self.setCursorPosition(place)
        self._is_showing = False

    def _tell(self) -> None:
        if not self._is_showing:
            text = self.text()
            before = text.encode("utf-16-le", "surrogatepass")[: 2 * self.cursorPosition()]
            self.changed.emit(text, len(before.decode("utf-16-le", "replace")))

    # what Qt calls

    def keyPressEvent(self, event: QKeyEvent) -> None:
        event.ignore()  # it goes to the window

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        event.ignore()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() is Qt.MouseButton.LeftButton:
            self.setCursorPosition(self.cursorPositionAt(event.position().toPoint()))
        else:
            event.ignore()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """A part of the line cannot be marked: the keys would not act on it."""

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """The middle button would paste here, without the window's look at it."""


def _palette_of(look: Look, color: QColor) -> QPalette:
    palette = QPalette()
    role = QPalette.ColorRole
    for each, of in ((role.Base, look.theme.background), (role.Text, look.theme.text), (role.Highlight, color)):
        palette.setColor(each, of)
    return palette
