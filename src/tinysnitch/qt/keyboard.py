"""Turns Qt's key events into the names of keys that view/keys.py has, and into the time when they were typed."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent

_PAGE_KEYS = (Qt.Key.Key_F2, Qt.Key.Key_F3, Qt.Key.Key_F4, Qt.Key.Key_F5, Qt.Key.Key_F6)
_NAMES = {
    Qt.Key.Key_Escape: "escape",
    Qt.Key.Key_Tab: "tab",
    Qt.Key.Key_Backtab: "shift+tab",
    Qt.Key.Key_Up: "up",
    Qt.Key.Key_Down: "down",
    Qt.Key.Key_Left: "left",
    Qt.Key.Key_Right: "right",
    Qt.Key.Key_PageUp: "pageup",
    Qt.Key.Key_PageDown: "pagedown",
    Qt.Key.Key_Home: "home",
    Qt.Key.Key_End: "end",
    Qt.Key.Key_Backspace: "backspace",
    Qt.Key.Key_Delete: "delete",
    Qt.Key.Key_Return: "enter",
    Qt.Key.Key_Enter: "enter",
    **{key: f"f{number}" for number, key in enumerate(_PAGE_KEYS, 2)},
}
_WITH_CONTROL = {
    Qt.Key.Key_A: "ctrl+a",
    Qt.Key.Key_C: "ctrl+c",
    Qt.Key.Key_E: "ctrl+e",
    Qt.Key.Key_K: "ctrl+k",
    Qt.Key.Key_U: "ctrl+u",
    Qt.Key.Key_W: "ctrl+w",
}
_COMMANDS = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier
_GAP_MS = 2  # between release and press of a repeat that an X server makes itself; no finger is so fast
_MAX_AGE_MS = 60_000  # an event that seems older was stamped by another clock than ours
_WRAP_MS = 2**32  # X11 counts milliseconds in 32 bits


class HeldKeys:
    """Tells the press of a key from its repeats, even if the X server does not mark repeats (XTEST, nested servers)."""

    def __init__(self) -> None:
        self._down: set[int] = set()
        self._released_ms: dict[int, int] = {}

    @property
    def is_any(self) -> bool:
        return bool(self._down)

    def press(self, event: QKeyEvent) -> bool:
        """Note a press. Returns whether it is only a repeat."""
        key = event.key()
        gap_ms = event.timestamp() - self._released_ms.get(key, -_WRAP_MS)
        is_server_repeat = 0 <= gap_ms <= _GAP_MS and event.timestamp() > 0  # 0: the event has no timestamp
        is_repeat = event.isAutoRepeat() or key in self._down or is_server_repeat
        self._down.add(key)
        return is_repeat

    def release(self, event: QKeyEvent) -> None:
        self._down.discard(event.key())
        self._released_ms[event.key()] = event.timestamp()

    def forget(self) -> None:
        """Another window has the keyboard: we are not told of releases there."""
        self._down.clear()


def name_of_key(event: QKeyEvent, *, is_text: bool = False) -> str | None:
    """The key's name; None if it has none. Caps Lock makes no capital of it, except in a text that is typed: a capital
    letter may answer forever, which takes Shift."""
    modifiers = event.modifiers()
    if event.key() in _WITH_CONTROL and modifiers == Qt.KeyboardModifier.ControlModifier:
        return _WITH_CONTROL[Qt.Key(event.key())]
    if modifiers & _COMMANDS:
        return None  # Alt-y, say, is for the window manager, and not an answer
    if event.key() in _NAMES:
        return _NAMES[Qt.Key(event.key())]
    text = event.text()
    if text == "?":
        return "question_mark"
    is_capital = is_text or bool(modifiers & Qt.KeyboardModifier.ShiftModifier)
    return (text if is_capital else text.lower()) if len(text) == 1 and text.isprintable() else None


def typed_at(stamp_ms: int, now: float) -> float:
    """When a key was typed, on the monotonic clock, by which X servers and Wayland compositors stamp events in ms."""
    age_ms = (int(now * 1000) - stamp_ms) % _WRAP_MS
    return now - age_ms / 1000 if age_ms < _MAX_AGE_MS else now
