import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent

from tinysnitch.qt.keyboard import HeldKeys, name_of_key, typed_at

NONE, CONTROL, ALT = (
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.AltModifier,
)
SHIFT = Qt.KeyboardModifier.ShiftModifier
Key = Qt.Key


def key(code: Qt.Key, text: str = "", modifiers: Qt.KeyboardModifier = NONE, *, at_ms: int = 0) -> QKeyEvent:
    event = QKeyEvent(QEvent.Type.KeyPress, code, modifiers, text)
    event.setTimestamp(at_ms)
    return event


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (key(Key.Key_Y, "y"), "y"),
        (key(Key.Key_Y, "Y", SHIFT), "Y"),
        (key(Key.Key_Y, "Y"), "y"),  # Caps Lock
        (key(Key.Key_Y, "y", SHIFT), "y"),  # Caps Lock with Shift
        (key(Key.Key_D, "D"), "d"),
        (key(Key.Key_Question, "?", SHIFT), "question_mark"),
        (key(Key.Key_Tab, "\t"), "tab"),
        (key(Key.Key_Backtab, "", SHIFT), "shift+tab"),
        (key(Key.Key_Escape, "\x1b"), "escape"),
        (key(Key.Key_Return, "\r"), "enter"),
        (key(Key.Key_C, "\x03", CONTROL), "ctrl+c"),
        (key(Key.Key_U, "\x15", CONTROL), "ctrl+u"),
        (key(Key.Key_W, "\x17", CONTROL), "ctrl+w"),
        (key(Key.Key_Y, "\x19", CONTROL), None),
        (key(Key.Key_Y, "y", ALT), None),
        (key(Key.Key_Shift), None),
        (key(Key.Key_F9), None),
        (key(Key.Key_Clear, "\x0c"), None),
    ],
)
def test_names_of_keys(event: QKeyEvent, name: str | None) -> None:
    assert name_of_key(event) == name


def test_every_printable_character_is_its_own_name() -> None:
    """The names in the table of keys, and those that the editor of a rule knows."""
    typed = [chr(code) for code in range(0x20, 0x7F) if chr(code) != "?"]
    shifts = [SHIFT if text.isupper() else NONE for text in typed]
    events = [key(Key(ord(text.upper())), text, shift) for text, shift in zip(typed, shifts, strict=True)]
    assert [name_of_key(event) for event in events] == typed


def test_caps_lock_writes_capitals_into_a_text() -> None:
    assert name_of_key(key(Key.Key_Y, "Y"), is_text=True) == "Y"


def test_a_key_that_is_held_is_pressed_once() -> None:
    held = HeldKeys()
    assert not held.press(key(Key.Key_Y, at_ms=1000))
    assert held.press(key(Key.Key_Y, at_ms=1500))
    for gap_ms, is_repeat in ((0, True), (1, True), (2, True), (3, False)):  # the server's way to repeat
        held.release(key(Key.Key_Y, at_ms=1540))
        assert held.press(key(Key.Key_Y, at_ms=1540 + gap_ms)) is is_repeat
    held.release(key(Key.Key_Y, at_ms=1600))
    assert not held.press(key(Key.Key_N, at_ms=1601))
    assert not held.press(key(Key.Key_Y, at_ms=1700))


def test_events_without_a_time_are_no_repeats_of_each_other() -> None:
    held = HeldKeys()
    for _ in range(2):
        assert not held.press(key(Key.Key_Y))
        held.release(key(Key.Key_Y))


def test_a_repeat_that_says_so() -> None:
    assert HeldKeys().press(QKeyEvent(QEvent.Type.KeyPress, Key.Key_Y, NONE, "y", True))


def test_a_key_let_go_in_another_window_counts_again() -> None:
    held = HeldKeys()
    held.press(key(Key.Key_Y, at_ms=1000))
    held.forget()
    assert not held.press(key(Key.Key_Y, at_ms=5000))


@pytest.mark.parametrize(
    ("stamp_ms", "typed_s"),
    [(99_000, 99.0), (100_000, 100.0), (0, 100.0), (100_500, 100.0)],
)
def test_when_a_key_was_typed(stamp_ms: int, typed_s: float) -> None:
    assert typed_at(stamp_ms, 100.0) == typed_s
