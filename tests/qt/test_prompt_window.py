import sys

import msgspec
import pytest
from PySide6.QtCore import QEvent, QPoint, QRect, Qt
from PySide6.QtGui import QAccessible, QAccessibleEvent, QKeyEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from tests.qt.sample_views import spoken, view_of
from tinysnitch.protocol.messages import PromptSettings, Theme, WindowPosition, WindowSize
from tinysnitch.qt.key_button import KeyButton
from tinysnitch.qt.prompt_window import VALUE_ROWS, PromptWindow
from tinysnitch.qt.span_label import SpanLabel
from tinysnitch.qt.theme import DARK, LIGHT
from tinysnitch.qt.window_options import WindowOptions
from tinysnitch.view.help_view import present_help, present_legend

NO_MODIFIER = Qt.KeyboardModifier.NoModifier
ROOM = [(320, 240), (640, 360), (1280, 720), (3840, 2160), (720, 1280)]


class Listener:
    """A shown window, and the signals that it emitted."""

    def __init__(self, options: WindowOptions = WindowOptions(theme=Theme.DARK), name: str = "question") -> None:  # noqa: B008
        self.names: list[str] = []
        self.window = PromptWindow(options)
        self.window.pressed.connect(lambda name, _typed_s: self.names.append(name))
        self.window.clicked.connect(lambda name, _at_s: self.names.append(name))
        self.pasted: list[str] = []
        self.window.pasted.connect(lambda text, _typed_s: self.pasted.append(text))
        self.window.show_view(view_of(name))
        self.window.appear()
        QTest.qWaitForWindowExposed(self.window)

    def button(self, label: str) -> KeyButton:
        return next(one for one in self.window.findChildren(KeyButton) if one.label == label)


@pytest.fixture
def listener(application: QApplication) -> Listener:
    return Listener()


def test_it_shows_what_it_is_given(listener: Listener) -> None:
    picture = listener.window.screen().grabWindow(listener.window.winId()).toImage()
    assert listener.window.windowTitle() == "curl wants to reach www.example.com"
    assert picture.pixelColor(5, 5) == DARK.background
    width, height = picture.width(), picture.height()
    sides = [(0, height // 2), (width - 1, height // 2), (width // 2, 0), (width // 2, height - 1)]
    assert [place for place in sides if picture.pixelColor(*place) != DARK.edge] == []


def test_a_key_can_be_clicked_and_what_is_beside_it_is_told(listener: Listener) -> None:
    touched: list[float] = []
    listener.window.touched.connect(touched.append)
    QTest.mouseClick(listener.button("d"), Qt.MouseButton.LeftButton)
    assert (listener.names, touched) == (["d"], [])
    QTest.mouseClick(listener.window, Qt.MouseButton.LeftButton, NO_MODIFIER, QPoint(3, 3))
    assert (listener.names, len(touched)) == (["d"], 1)


def test_a_question_is_as_large_as_its_text_and_does_not_shrink(listener: Listener) -> None:
    small = listener.window.size()
    listener.window.show_view(view_of("warnings"))
    large = listener.window.size()
    assert (large.width(), large.height() > small.height()) == (small.width(), True)
    bottom = listener.button("y").mapTo(listener.window, QPoint(0, 0)).y()
    shorter = msgspec.structs.replace(view_of("warnings"), warnings=())
    listener.window.show_view(shorter)
    QTest.qWait(10)
    assert listener.window.size() == large
    assert listener.button("y").mapTo(listener.window, QPoint(0, 0)).y() == bottom
    listener.window.show_view(view_of("question"))
    assert listener.window.size() == small


@pytest.mark.parametrize("position", WindowPosition)
def test_a_dialog_stands_where_it_is_wanted(application: QApplication, position: WindowPosition) -> None:
    window = Listener(WindowOptions(position=position)).window
    room, place = window.screen().availableGeometry(), window.geometry()
    assert room.contains(place)
    if position is WindowPosition.CORNER:
        assert place.top() - room.top() == pytest.approx(room.right() - place.right(), abs=5)  # there is a frame
    else:
        assert (place.center() - room.center()).manhattanLength() < 4


def test_settings_change_colours_at_once_and_size_and_place_with_the_next_question(application: QApplication) -> None:
    window = Listener(WindowOptions()).window
    dialog, room = window.size(), window.screen().availableGeometry()
    settings = PromptSettings(theme=Theme.LIGHT, window=WindowSize.FULL)
    for other, background in (
        (settings, LIGHT.background),
        (msgspec.structs.replace(settings, theme=Theme.DARK), DARK.background),
    ):
        window.take_settings(other)
        window.show_view(view_of("question"))
        assert (window.size(), window.grab().toImage().pixelColor(5, 5)) == (dialog, background)
    for wanted, is_full in ((settings, True), (PromptSettings(position=WindowPosition.CORNER), False)):
        window.hide()
        window.take_settings(wanted)
        window.show_view(view_of("question"))
        window.appear()
        QTest.qWait(10)
        assert (window.frameGeometry().size() if is_full else window.size()) == (room.size() if is_full else dialog)
    assert room.right() - window.geometry().right() < room.width() // 10


@pytest.mark.parametrize("room", ROOM)
@pytest.mark.parametrize("name", ["long", "warnings"])
@pytest.mark.parametrize("font_pt", [None, 30.0])
def test_every_key_is_in_the_window_on_any_screen(
    application: QApplication, monkeypatch: pytest.MonkeyPatch, room: tuple[int, int], name: str, font_pt: float | None
) -> None:
    screen = QRect(0, 0, *room)
    monkeypatch.setattr(PromptWindow, "_screen_room", lambda _self: screen)
    window = Listener(WindowOptions(font_pt=font_pt), name).window
    assert window.width() <= room[0]
    assert window.height() <= room[1]
    buttons = [one for one in window.findChildren(KeyButton) if one.isVisible()]
    assert {one.label for one in buttons} == {hint.label for row in view_of(name).everyday for hint in row}
    places = [one.rect().translated(one.mapTo(window, QPoint(0, 0))) for one in buttons]
    assert all(window.rect().contains(place) for place in places)


@pytest.mark.parametrize("room", ROOM)
def test_the_help_fits_on_any_screen(
    application: QApplication, monkeypatch: pytest.MonkeyPatch, room: tuple[int, int]
) -> None:
    screen = QRect(0, 0, *room)
    monkeypatch.setattr(PromptWindow, "_screen_room", lambda _self: screen)
    window = Listener().window
    for rows in (present_help(), present_legend()):
        window.show_help("keys", rows, view_of("question"))
        assert window.height() <= room[1]
        assert rows[-1].meaning in spoken(window)


def test_over_the_whole_screen_the_text_is_larger_and_in_the_middle(application: QApplication) -> None:
    window = Listener(WindowOptions(WindowSize.FULL, theme=Theme.LIGHT)).window
    QTest.qWait(10)
    frame = window.frameGeometry()
    assert frame.size() == window.screen().availableSize()
    button = next(one for one in window.findChildren(KeyButton) if one.label == "y")
    dialog = Listener()
    assert button.height() > dialog.button("y").height()
    assert window.grab().toImage().pixelColor(0, 0) == LIGHT.background


def test_over_the_whole_screen_no_fact_is_cut_as_long_as_smaller_type_helps(application: QApplication) -> None:
    window = Listener(WindowOptions(WindowSize.FULL), "warnings").window
    QTest.qWait(10)
    rows = [one._shown[2] for one in window.findChildren(SpanLabel) if one.isVisible() and one._shown]
    assert max(rows) == VALUE_ROWS[0]


def test_a_screen_reader_says_sentence_rule_and_keys(
    application: QApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[QAccessibleEvent] = []
    monkeypatch.setattr(QAccessible, "updateAccessibility", told.append)
    listener = Listener(name="warnings")
    view = view_of("warnings")
    names = spoken(listener.window)
    rule = "".join(span.text for span in view.rule)
    assert {view.title, rule, *(f"warning: {warning}" for warning in view.warnings)} <= set(names)
    assert {text for line in view.lines for text in (line.label, line.text)} <= set(names)
    buttons = spoken(listener.window, QAccessible.Role.Button)
    hints = [hint for row in view.everyday for hint in row]
    assert sorted(one.split(",")[0] for one in buttons) == sorted(f"{hint.label}: {hint.text}" for hint in hints)
    (event,) = told
    said = event.message()
    assert view.title in said
    assert rule.endswith(", for 9 minutes")
    assert f"rule: {rule}" in said
    assert "y allow for 9 minutes, n deny for 9 minutes" in said
    listener.window.show_view(msgspec.structs.replace(view, seconds_left=7))
    assert len(told) == 1  # it says nothing twice, though the time goes on
    listener.window.show_view(view_of("warnings", "f"))
    assert len(told) == 2


def test_a_key_of_the_help_can_be_clicked(listener: Listener) -> None:
    listener.window.show_help("keys", present_help(), view_of("question"))
    QTest.qWait(10)
    button = next(one for one in listener.window.findChildren(KeyButton) if one.label == "u" and one.isVisible())
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert listener.names == ["u"]


def test_an_edited_line_has_a_field_with_the_keyboard(listener: Listener) -> None:
    view = view_of("question", "e")
    assert view.edit
    listener.window.show_view(view)
    assert spoken(listener.window, QAccessible.Role.EditableText) == ["rule"]
    field = listener.window.focusWidget()
    interface = QAccessible.queryAccessibleInterface(field)
    assert interface
    assert interface.text(QAccessible.Text.Value) == view.edit.line
    QTest.keyClick(field, Qt.Key.Key_Tab)
    QTest.keyClick(field, Qt.Key.Key_X)
    assert listener.names == ["tab", "x"]
    listener.window.show_view(view_of("question"))
    assert listener.window.focusWidget() is listener.window


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
    QApplication.clipboard().setText("deny\n-")
    for listener.window.is_editor in (False, True):
        for is_repeat in (False, True):
            event = QKeyEvent(QEvent.Type.KeyPress, key, modifier, "", is_repeat)
            event.setTimestamp(1000 * listener.window.is_editor)
            listener.window.keyPressEvent(event)
        listener.window.keyReleaseEvent(QKeyEvent(QEvent.Type.KeyRelease, key, modifier))
    assert (listener.pasted, listener.names) == (["deny\n-"], [])


def test_closing_it_is_only_told(listener: Listener) -> None:
    told: list[bool] = []
    listener.window.closed.connect(lambda: told.append(True))
    listener.window.close()
    assert told == [True]
    assert listener.window.isVisible()


def test_calls_of_qt_that_return_none_take_none_of_it_away(application: QApplication) -> None:
    """As where Qt for Python is built for a later Python than it says: before 3.12 None could be used up."""
    before = sys.getrefcount(None)
    for _ in range(200):  # in each of which windows of earlier tests may have something to paint
        QApplication.processEvents()
    assert sys.getrefcount(None) > before - 100
