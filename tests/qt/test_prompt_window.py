import sys

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QGuiApplication, QKeyEvent
from PySide6.QtTest import QTest

from tinysnitch.qt.page_layout import PageLayout
from tinysnitch.qt.palette import BACKGROUND, EDGE, WARNING
from tinysnitch.qt.prompt_page import PageSize
from tinysnitch.qt.prompt_window import PromptWindow

BOX = QRectF(100, 100, 60, 60)


def build(_size: PageSize) -> PageLayout:
    page = PageLayout()
    page.add_box(BOX, WARNING)
    page.add_key(BOX, "Tab")
    return page


class Listener:
    """A shown window, and the signals that it emitted."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.window = PromptWindow()
        self.window.pressed.connect(lambda name, _typed_s: self.names.append(name))
        self.window.clicked.connect(lambda name, _at_s: self.names.append(name))
        self.pasted: list[str] = []
        self.window.pasted.connect(lambda text, _typed_s: self.pasted.append(text))
        self.window.resize(400, 300)
        self.window.show_page("title", build)
        self.window.show()


@pytest.fixture
def listener(application: QGuiApplication) -> Listener:
    return Listener()


def test_it_shows_what_it_is_given(listener: Listener) -> None:
    QTest.qWaitForWindowExposed(listener.window)
    picture = listener.window.screen().grabWindow(listener.window.winId()).toImage()
    assert listener.window.title() == "title"
    assert picture.pixelColor(130, 130) == WARNING
    assert picture.pixelColor(10, 10) == BACKGROUND
    sides = [(0, 150), (399, 150), (200, 0), (200, 299)]
    assert [place for place in sides if picture.pixelColor(*place) != EDGE] == []


def test_what_is_shown_can_be_clicked(listener: Listener) -> None:
    for place in (QPoint(130, 130), QPoint(10, 10)):
        QTest.mouseClick(listener.window, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)
    assert listener.names == ["tab"]


@pytest.mark.parametrize(("is_editor", "names"), [(False, ["x"]), (True, ["x", "x", "x"])])
def test_a_key_held_down_repeats_only_in_the_editor(listener: Listener, is_editor: bool, names: list[str]) -> None:
    listener.window.is_editor = is_editor
    for is_repeat in (False, True, True):
        event = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_X, Qt.KeyboardModifier.NoModifier, "x", is_repeat)
        listener.window.keyPressEvent(event)
    assert listener.names == names


def test_a_key_let_go_while_the_window_was_hidden_counts_again(listener: Listener) -> None:
    for _ in range(2):
        listener.window.keyPressEvent(
            QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_Y, Qt.KeyboardModifier.NoModifier, "y")
        )
        listener.window.hide()
        listener.window.appear()
    assert listener.names == ["y", "y"]


@pytest.mark.parametrize(
    ("key", "modifier"),
    [(Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier), (Qt.Key.Key_Insert, Qt.KeyboardModifier.ShiftModifier)],
)
def test_a_line_can_be_pasted_only_where_one_is_edited(
    listener: Listener, key: Qt.Key, modifier: Qt.KeyboardModifier
) -> None:
    QGuiApplication.clipboard().setText("deny\n-")
    for listener.window.is_editor in (False, True):
        for is_repeat in (False, True):
            event = QKeyEvent(QEvent.Type.KeyPress, key, modifier, "", is_repeat)
            event.setTimestamp(1000 * listener.window.is_editor)
            listener.window.keyPressEvent(event)
        listener.window.keyReleaseEvent(QKeyEvent(QEvent.Type.KeyRelease, key, modifier))
    assert (listener.pasted, listener.names) == (["deny\n-"], [])


def test_only_the_left_button_clicks(listener: Listener) -> None:
    for button in (Qt.MouseButton.MiddleButton, Qt.MouseButton.RightButton):
        QTest.mouseClick(listener.window, button, Qt.KeyboardModifier.NoModifier, QPoint(130, 130))
    assert listener.names == []


def test_closing_it_is_only_told(listener: Listener) -> None:
    told: list[bool] = []
    listener.window.closed.connect(lambda: told.append(True))
    listener.window.close()
    assert told == [True]
    assert listener.window.page.find_key(QPointF(130, 130)) == "Tab"


def test_calls_of_qt_that_return_none_take_none_of_it_away(application: QGuiApplication) -> None:
    """As where Qt for Python is built for a later Python than it says: before 3.12 None could be used up."""
    before = sys.getrefcount(None)
    for _ in range(200):  # in each of which windows of earlier tests may have something to paint
        QGuiApplication.processEvents()
    assert sys.getrefcount(None) > before - 100
