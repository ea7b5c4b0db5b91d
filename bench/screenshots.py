"""Pictures of the window in every state that matters, at both ends of the sizes of screens: `make screenshots`."""

import argparse
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from PySide6.QtCore import QEventLoop, Qt, QTimer
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QRasterWindow
from PySide6.QtWidgets import QApplication

from tests.qt.screen import Screen
from tinysnitch.protocol.messages import Theme, WindowSize
from tinysnitch.qt.demo import SAMPLES, find_sample_file, sample_prompt
from tinysnitch.qt.prompt_agent import PromptAgent
from tinysnitch.qt.prompt_window import PromptWindow
from tinysnitch.qt.window_options import WindowOptions
from tinysnitch.view.prompt_events import DaemonGreeted, Event, QuestionOpened

SIZES = [(1280, 720, 1), (3840, 2160, 2)]  # in pixels, and how many of them are a logical one
THEMES = {  # paper and ink of the text behind
    Theme.LIGHT: ("#ffffff", "#202020"),
    Theme.DARK: ("#16181b", "#c8c8c8"),
}
# One program's questions for names of few domains, of which two look like another one.
LISTED = {
    name: msgspec.structs.replace(SAMPLES["question"], name=name)
    for name in (
        *(f"n{at}.page{at % 3}.example" for at in range(13)),
        "evil-exfiltration-host.example.com",
        "www.example.com",
        "www.example.com.evil.test",
    )
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--here", metavar="PREFIX", help="take them on the screen that DISPLAY names")
    parser.add_argument("--window", type=WindowSize, default=WindowSize.DIALOG)
    parser.add_argument("--theme", type=Theme, default=Theme.DARK)
    words = parser.parse_args()
    if words.here:
        take_all(words.folder, words.here, words.window, words.theme)
        return
    words.folder.mkdir(parents=True, exist_ok=True)
    for (width, height, scale), kind, theme in itertools.product(SIZES, WindowSize, THEMES):
        with Screen(width, height) as screen:
            command = [
                sys.executable,
                "-m",
                "bench.screenshots",
                str(words.folder),
                "--theme",
                theme.value,
                "--window",
                kind.value,
            ]
            command += ["--here", f"{width}x{height}-{kind.value}-{theme.value}"]
            subprocess.run(command, env=screen.environment(QT_SCALE_FACTOR=str(scale)), check=True)


def take_all(folder: Path, prefix: str, size: WindowSize, theme: Theme) -> None:
    _application = QApplication([])
    desktop = show_desktop(*THEMES[theme])
    for name, ids, keys in pictures():
        window = play(ids, keys, WindowOptions(size, theme=theme))
        picture = window.screen().grabWindow(0)
        if picture.isNull() or not picture.save(str(folder / f"{prefix}-{name}.png")):
            sys.exit(f"no picture {name}")
        window.hide()
        settle(0.1)  # until what stood behind it is painted
    desktop.destroy()


def play(ids: list[str], keys: str | list[str], options: WindowOptions) -> PromptWindow:
    """The window with these questions, after these keys were pressed."""
    window = PromptWindow(options)
    agent = PromptAgent(window, 0.0, find_file=find_sample_file)
    for event in opened(ids):
        agent.tell(event)
    settle(0.3)
    for key in keys:
        agent.press(key, time.monotonic())
    settle(0.2)
    return window


class OtherWindow(QRasterWindow):
    """A text that covers the whole screen, as a background."""

    def __init__(self, paper: str, ink: str) -> None:
        super().__init__()
        self._paper, self._ink = paper, ink

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(0, 0, self.width(), self.height(), QColor(self._paper))
        painter.setPen(QColor(self._ink))
        painter.drawText(self.geometry().adjusted(20, 20, -20, -20), Qt.TextFlag.TextWordWrap, "other words " * 2000)
        painter.end()


def show_desktop(paper: str, ink: str) -> OtherWindow:
    desktop = OtherWindow(paper, ink)
    desktop.setGeometry(desktop.screen().geometry())
    desktop.show()
    return desktop


def pictures() -> Iterator[tuple[str, list[str], str | list[str]]]:
    """Of each picture: its name, the sample questions, and the keys that are pressed."""
    for name in SAMPLES:
        yield name, [name], ""
    yield "toggled", ["question"], "fdpj"
    yield "twelve", list(SAMPLES) * 2, ""
    yield "help", ["question"], "h"
    yield "legend", ["question"], "l"
    yield "together", ["question", "long", "right-to-left"], "g"
    yield "list", list(LISTED), ["g", "down", "down", " ", "down"]
    yield "editing", ["question"], ["f", "e", *["backspace"] * 6]
    yield "editing-wrong", ["question"], ["e", "home", "x"]


def opened(names: list[str]) -> Iterator[Event]:
    yield DaemonGreeted(None)
    for number, name in enumerate(names, 1):
        connection = LISTED.get(name) or SAMPLES[name]
        yield QuestionOpened(sample_prompt(number, connection, count=3 if len(names) > 1 else 1))


def settle(seconds: float) -> None:
    """Let Qt handle events for so many seconds."""
    loop = QEventLoop()
    QTimer.singleShot(int(seconds * 1000), loop.quit)
    loop.exec()


if __name__ == "__main__":
    main()
