"""Pictures of the window in every state that matters, at both ends of the sizes of screens: `make screenshots`."""

import argparse
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from PySide6.QtCore import QEventLoop, QPoint, QRect, Qt, QTimer
from PySide6.QtGui import QColor, QGuiApplication, QPainter, QPaintEvent, QRasterWindow, QWindow

from tests.qt.screen import Screen
from tinysnitch.qt.demo import SAMPLES, find_sample_file, sample_prompt
from tinysnitch.qt.prompt_agent import PromptAgent
from tinysnitch.qt.prompt_window import PromptWindow
from tinysnitch.view.prompt_events import DaemonGreeted, Event, QuestionOpened

SIZES = [(1280, 720), (3840, 2160)]
SCALES = [1, 2]
LARGE_PT = 26.0  # on the small screen
SURROUNDINGS = {
    "light": ("#ffffff", "#202020"),
    "dark": ("#16181b", "#c8c8c8"),
}  # paper and ink of the text beside the window


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--here", metavar="PREFIX", help="take them on the screen that DISPLAY names")
    parser.add_argument("--font", type=float, help="size of the type in points")
    words = parser.parse_args()
    if words.here:
        take_all(words.folder, words.here, words.font)
        return
    words.folder.mkdir(parents=True, exist_ok=True)
    for (width, height), scale in itertools.product(SIZES, SCALES):
        with Screen(width, height) as screen:
            command = [sys.executable, "-m", "bench.screenshots", str(words.folder)]
            command += ["--here", f"{width}x{height}-{scale}"]
            subprocess.run(command, env=screen.environment(QT_SCALE_FACTOR=str(scale)), check=True)
    for width, height in SIZES:
        with Screen(width, height) as screen:
            command = [sys.executable, "-m", "bench.screenshots", str(words.folder)]
            command += ["--here", f"{width}x{height}-large", "--font", str(LARGE_PT * height / SIZES[0][1])]
            subprocess.run(command, env=screen.environment(), check=True)


def take_all(folder: Path, prefix: str, font_pt: float | None) -> None:
    _application = QGuiApplication([])
    for name, ids, keys in pictures():
        window = play(ids, keys, font_pt)
        save(window, window.winId(), folder / f"{prefix}-{name}.png")
        window.close()  # its agent hides it, for good
    for name, colors in SURROUNDINGS.items():
        desktop = show_desktop(*colors)
        window = play(["question"], "", font_pt)
        part = desktop.geometry().size() * 0.8
        window.setWindowStates(Qt.WindowState.WindowNoState)
        window.setGeometry(QRect(QPoint(desktop.width() // 14, desktop.height() // 10), part))
        window.raise_()
        settle(0.3)
        save(window, 0, folder / f"{prefix}-on-{name}.png")
        window.close()
        desktop.destroy()


def play(ids: list[str], keys: str | list[str], font_pt: float | None) -> PromptWindow:
    """The window with these questions, after these keys were pressed."""
    window = PromptWindow(font_pt)
    agent = PromptAgent(window, 0.0, find_file=find_sample_file)
    for event in opened(ids):
        agent.tell(event)
    settle(0.3)
    for key in keys:
        agent.press(key, time.monotonic())
    settle(0.2)
    return window


def save(window: QWindow, grabbed: int, path: Path) -> None:
    picture = window.screen().grabWindow(grabbed)
    if picture.isNull() or not picture.save(str(path)):
        sys.exit(f"no picture {path.name}")


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
    yield "editing", ["question"], ["f", "e", *["backspace"] * 6]
    yield "editing-wrong", ["question"], ["e", "home", "x"]


def opened(names: list[str]) -> Iterator[Event]:
    yield DaemonGreeted(None)
    for number, name in enumerate(names, 1):
        yield QuestionOpened(sample_prompt(number, SAMPLES[name], count=3 if len(names) > 1 else 1))


def settle(seconds: float) -> None:
    """Let Qt handle events for so many seconds."""
    loop = QEventLoop()
    QTimer.singleShot(int(seconds * 1000), loop.quit)
    loop.exec()


if __name__ == "__main__":
    main()
