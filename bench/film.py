"""Films terminals and screens while a script uses them: what is seen is what was there, at the time it was there.

A camera gives what it sees at a moment. Equal moments are one, so a picture that stands still costs nothing.
"""

import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.lab.patience import WAIT_S

SAMPLE_S = 0.04
TYPED_S = 0.05  # between two keys of somebody who types
KEY_SHOWN_S = 1.3
NAMED_KEYS = {"Enter": "Enter", "Down": "↓"}  # tmux's name of a key, and what stands on it


class TerminalSight(NamedTuple):
    rows: str  # with escape codes
    cursor: tuple[int, int] | None  # column and row


class ScreenSight(NamedTuple):
    pixels: bytes  # row by row, four bytes each
    width: int
    height: int


Sight = TerminalSight | ScreenSight


class Moment(NamedTuple):
    sights: tuple[Sight, ...]  # what each camera saw
    caption: str
    key: str  # that was pressed just before


class Terminals:
    """Programs in terminals of tmux's, each by its name."""

    def __init__(self, socket: Path) -> None:
        self._front = ["tmux", "-S", str(socket), "-f", "/dev/null"]

    def open(self, name: str, size: tuple[int, int], command: list[str]) -> None:
        width, height = map(str, size)
        self._call(
            "new-session", "-d", "-s", name, "-x", width, "-y", height, *command, ";", "set", "-g", "status", "off"
        )

    def close(self) -> None:
        self._call("kill-server")

    def look(self, name: str) -> TerminalSight:
        cursor = "#{cursor_flag} #{cursor_x} #{cursor_y}"
        seen = self._call("display-message", "-p", "-t", name, cursor, ";", "capture-pane", "-p", "-e", "-t", name)
        first, _, rows = seen.partition("\n")
        is_shown, column, row = map(int, first.split())
        return TerminalSight(rows.removesuffix("\n"), (column, row) if is_shown else None)

    def send(self, name: str, key: str) -> None:
        self._call("send-keys", "-t", name, *([] if key in NAMED_KEYS else ["-l"]), key)

    def has(self, name: str, pattern: str) -> bool:
        return re.search(pattern, self._read(name)) is not None

    def wait_for(self, name: str, pattern: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while not self.has(name, pattern):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{pattern!r} is not in:\n{self._read(name)}")
            time.sleep(SAMPLE_S)

    def _read(self, name: str) -> str:
        return self._call("capture-pane", "-p", "-t", name)

    def _call(self, *words: str) -> str:
        return subprocess.run([*self._front, *words], capture_output=True, text=True, check=True).stdout


class Film:
    """What the cameras saw while it ran, and how long each moment was."""

    def __init__(self, terminals: Terminals, cameras: Sequence[Callable[[], Sight]]) -> None:
        self.moments: list[tuple[Moment, float]] = []
        self.terminals = terminals
        self._cameras = cameras
        self._caption = ""
        self._key, self._key_until = "", 0.0
        self._is_running = False

    @contextmanager
    def run(self) -> Iterator[None]:
        """Film until the block ends. Between two such blocks no time passes in the film."""
        self._is_running = True
        thread = threading.Thread(target=self._sample)
        thread.start()
        try:
            yield
        finally:
            self._is_running = False
            thread.join()

    def say(self, caption: str) -> None:
        self._caption = caption

    def type(self, terminal: str, text: str) -> None:
        for char in text:
            self.terminals.send(terminal, char)
            time.sleep(TYPED_S)
        time.sleep(0.3)
        self.terminals.send(terminal, "Enter")

    def press(self, terminal: str, key: str, caption: str) -> None:
        """Press a key that is shown."""
        self._caption = caption
        self._key, self._key_until = NAMED_KEYS.get(key, key), time.monotonic() + KEY_SHOWN_S
        time.sleep(0.4)
        self.terminals.send(terminal, key)

    def _sample(self) -> None:
        before = time.monotonic()
        while self._is_running:
            key = self._key if time.monotonic() < self._key_until else ""
            moment = Moment(tuple(camera() for camera in self._cameras), self._caption, key)
            now = time.monotonic()
            self._keep(moment, now - before)
            before = now
            time.sleep(SAMPLE_S)

    def _keep(self, moment: Moment, seconds: float) -> None:
        if self.moments and self.moments[-1][0] == moment:
            seconds += self.moments.pop()[1]
        self.moments.append((moment, seconds))
