import time

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QAccessible, QImage, QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from tests.lab.patience import wait_until
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.qt.key_button import KeyButton, KeyRows
from tinysnitch.qt.theme import DARK, Look
from tinysnitch.view.prompt_view import KeyHint

LOOK = Look(DARK, 15.0, 1)
NO_MODIFIER = Qt.KeyboardModifier.NoModifier


@pytest.fixture
def button(application: QApplication) -> KeyButton:
    button = KeyButton()
    button.show_hint(KeyHint("Tab", "next"), LOOK, is_ready=True)
    button.resize(button.sizeHint())
    button.show()
    return button


def background(button: KeyButton) -> str:
    picture: QImage = button.grab().toImage()
    return picture.pixelColor(button.width() // 2, 3).name()


def test_a_click_tells_the_key_and_when_it_was_pressed(button: KeyButton) -> None:
    told: list[tuple[str, float]] = []
    button.chosen.connect(lambda name, at_s: told.append((name, at_s)))
    now_ms = int(time.monotonic() * 1000)
    for kind, stamp_ms in ((QEvent.Type.MouseButtonPress, now_ms - 900), (QEvent.Type.MouseButtonRelease, now_ms)):
        held = Qt.MouseButton.LeftButton
        event = QMouseEvent(kind, QPointF(5, 5), button.mapToGlobal(QPointF(5, 5)), held, held, NO_MODIFIER)
        event.setTimestamp(stamp_ms)
        QApplication.sendEvent(button, event)
    ((name, at_s),) = told
    assert (name, at_s) == ("tab", pytest.approx(now_ms / 1000 - 0.9, abs=0.1))


def test_what_is_let_go_beside_it_chooses_nothing(button: KeyButton) -> None:
    told: list[str] = []
    button.chosen.connect(lambda name, _at_s: told.append(name))
    QTest.mousePress(button, Qt.MouseButton.LeftButton, NO_MODIFIER, QPoint(5, 5))
    QTest.mouseRelease(button, Qt.MouseButton.LeftButton, NO_MODIFIER, QPoint(5, 500))
    for other in (Qt.MouseButton.MiddleButton, Qt.MouseButton.RightButton):
        QTest.mouseClick(button, other, NO_MODIFIER, QPoint(5, 5))
    assert told == []


def test_a_screen_reader_can_press_it(button: KeyButton) -> None:
    told: list[tuple[str, float]] = []
    button.chosen.connect(lambda name, at_s: told.append((name, at_s)))
    interface = QAccessible.queryAccessibleInterface(button)
    assert interface
    interface.actionInterface().doAction("Press")
    wait_until(lambda: QTest.qWait(5) or told)  # it is seen to go down first
    ((name, at_s),) = told
    assert (name, at_s) == ("tab", pytest.approx(time.monotonic(), abs=5))


def test_it_says_what_is_chosen(button: KeyButton) -> None:
    button.show_hint(KeyHint("9", "min", is_on=True), LOOK, is_ready=True)
    assert button.accessibleName() == "9: min, chosen"


def test_answers_are_green_and_red_once_they_count(button: KeyButton) -> None:
    for verdict, color in ((Verdict.ALLOW, DARK.allow), (Verdict.DENY, DARK.deny), (None, DARK.key)):
        for is_ready in (False, True):
            button.show_hint(KeyHint("x", "does it", verdict=verdict), LOOK, is_ready=is_ready)
            assert background(button) == (color if is_ready else DARK.key_waiting).name()


def test_a_dead_key_looks_like_none_and_takes_no_click(button: KeyButton) -> None:
    told: list[str] = []
    button.chosen.connect(lambda name, _at_s: told.append(name))
    button.show_hint(KeyHint("Tab", "next", is_dead=True), LOOK, is_ready=True)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert (background(button), told) == (DARK.key_waiting.name(), [])


@pytest.mark.usefixtures("application")
def test_keys_that_do_not_fit_into_a_row_take_more() -> None:
    window = QWidget()
    rows = KeyRows(window)
    window.show()
    buttons = [KeyButton(rows) for _ in range(9)]
    for number, each in enumerate(buttons):
        each.show_hint(KeyHint(str(number), "word" * 5), LOOK, is_ready=True)
        each.show()
    rows.show_buttons(buttons, 5)
    rows.resize(700, rows.heightForWidth(700))
    assert len({each.y() for each in buttons}) > 1
    assert max(each.geometry().right() for each in buttons) < 700
    assert max(each.geometry().bottom() for each in buttons) == rows.height() - 1
