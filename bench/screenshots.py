"""Pictures of the window in every state that matters, at both ends of the sizes of screens: `make screenshots`."""

import argparse
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.qt.screen import Screen

SIZES = [(1280, 720), (3840, 2160)]
SCALES = [1, 2]
FONT_PT = 13.0  # at scale 1 of the type


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
    with Screen(*SIZES[0]) as screen:
        command = [sys.executable, "-m", "bench.screenshots", str(words.folder), "--here", "large-type"]
        subprocess.run([*command, "--font", str(2 * FONT_PT)], env=screen.environment(), check=True)


def take_all(folder: Path, prefix: str, font_pt: float | None) -> None:
    from PySide6.QtGui import QGuiApplication

    from tinysnitch.qt.demo import find_sample_file
    from tinysnitch.qt.prompt_agent import PromptAgent
    from tinysnitch.qt.prompt_window import PromptWindow

    application = QGuiApplication([])
    for name, ids, keys in pictures():
        window = PromptWindow(font_pt)
        agent = PromptAgent(window, 0.0, find_file=find_sample_file)
        for event in opened(ids):
            agent.tell(event)
        settle(application, 0.3)
        for key in keys:
            agent.press(key, time.monotonic())
        settle(application, 0.2)
        picture = window.screen().grabWindow(window.winId())
        if picture.isNull() or not picture.save(str(folder / f"{prefix}-{name}.png")):
            sys.exit(f"no picture of {name}")
        window.destroy()


def pictures() -> Iterator[tuple[str, list[str], str | list[str]]]:
    """Name, sample questions, and keys that are pressed."""
    from tinysnitch.qt.demo import SAMPLES

    for name in SAMPLES:
        yield name, [name], ""
    yield "toggled", ["question"], "fdpj"
    yield "twelve", list(SAMPLES) * 2, ""
    yield "help", ["question"], "h"
    yield "legend", ["question"], "l"
    yield "together", ["question", "long", "right-to-left"], "g"
    yield "editing", ["question"], ["f", "e", *["backspace"] * 6]
    yield "editing-wrong", ["question"], ["e", "home", "x"]


def opened(names: list[str]) -> "Iterator[object]":
    from tinysnitch.qt.demo import SAMPLES, sample_prompt
    from tinysnitch.view.prompt_state import DaemonGreeted, QuestionOpened

    yield DaemonGreeted(None)
    for number, name in enumerate(names, 1):
        yield QuestionOpened(sample_prompt(number, SAMPLES[name], count=3 if len(names) > 1 else 1))


def settle(application: object, seconds: float) -> None:
    """Let Qt work for so long."""
    from PySide6.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    QTimer.singleShot(int(seconds * 1000), loop.quit)
    loop.exec()


if __name__ == "__main__":
    main()
