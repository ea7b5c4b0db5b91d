import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QInputMethodEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from tinysnitch.qt.line_field import LineField
from tinysnitch.qt.theme import LIGHT, Look
from tinysnitch.view.edit_view import EditView

LOOK = Look(LIGHT, 15.0, 1)
EDIT = EditView("", "a", "", line="allow 😀 x", cursor=7, fault="column 1: no", hint="do this")


@pytest.fixture
def field(application: QApplication) -> LineField:
    field = LineField()
    field.show_edit(EDIT, LOOK, is_lost=False)
    field.resize(400, 30)
    field.show()
    return field


def listen(field: LineField) -> list[tuple[str, int]]:
    told: list[tuple[str, int]] = []
    field.changed.connect(lambda text, cursor: told.append((text, cursor)))
    return told


def test_it_shows_the_line_with_its_cursor_and_fault(field: LineField) -> None:
    told = listen(field)
    field.show_edit(EDIT, LOOK, is_lost=False)
    assert (field.text(), field.cursorPosition()) == ("allow 😀 x", 8)  # Qt counts 😀 twice
    assert (field.accessibleDescription(), told) == ("column 1: no. do this", [])
    field.show_edit(EDIT, LOOK, is_lost=True)
    assert field.isReadOnly()


def test_keys_go_to_the_window(field: LineField) -> None:
    told = listen(field)
    QTest.keyClicks(field, "deny")
    assert (field.text(), told) == ("allow 😀 x", [])


def test_a_click_moves_the_cursor(field: LineField) -> None:
    told = listen(field)
    for place, cursor in ((QPoint(390, 15), 9), (QPoint(1, 15), 0)):
        QTest.mouseClick(field, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)
        assert told.pop() == ("allow 😀 x", cursor)
    QTest.mouseDClick(field, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QPoint(20, 15))
    QTest.mouseMove(field, QPoint(300, 15))
    assert not field.hasSelectedText()


def test_what_an_input_method_writes_is_told(field: LineField) -> None:
    told = listen(field)
    event = QInputMethodEvent()
    event.setCommitString("é")
    QApplication.sendEvent(field, event)
    assert told[-1] == ("allow 😀é x", 8)
