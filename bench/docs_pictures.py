"""The pictures of terminals and of the window of the pages in the docs: `make pictures` takes them again.

Each has in its file what was on the screen, row by row, of a terminal with its styles. So a test can tell that a
picture shows what the program draws now (tests/bench/test_docs_pictures.py), whatever fonts a machine has.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication
from rich.text import Text

from bench import window_page_pictures
from bench.command_pictures import SHOTS, show
from bench.page_pictures import pages, screen
from bench.terminal_pictures import asked, draw, paint
from tinysnitch.protocol.messages import Theme
from tinysnitch.view.pages.list_page import ListPage

SIZE = (80, 24)
ROWS = "rows"  # the key of the text in the file
_PAGES = {"live-explained": "page-live", "rules": "page-rules", "history": "page-history", "names": "page-names"}
_WINDOW_PAGES = {"live": "window-pages", "names-chromium": "window-names"}
_OF_QUESTION_S = 3.0  # after it opened


class Picture(NamedTuple):
    name: str  # of its file in docs
    rows: Callable[[], list[str]]  # that are on the screen now
    take: Callable[[], QImage]


def pictures() -> Iterator[Picture]:
    yield of_terminal("prompt", lambda: draw(asked(["question"]), _OF_QUESTION_S, *SIZE))
    for name, on, call, make in pages():
        if name in _PAGES:
            yield of_terminal(_PAGES[name], partial(screen, on, call, make, *SIZE))
    for shot in SHOTS:
        if shot.is_in_docs:
            yield of_terminal(f"command-{shot.name}", partial(show, shot, *SIZE))
    for name, page in window_page_pictures.pages():
        if name in _WINDOW_PAGES:
            yield of_window(_WINDOW_PAGES[name], page)


def of_terminal(name: str, make: Callable[[], Text]) -> Picture:
    def rows() -> list[str]:
        return [row.markup for row in make().split("\n", allow_blank=True)]

    return Picture(name, rows, lambda: paint(make(), *SIZE, "dark", has_colors=True))


def of_window(name: str, page: ListPage) -> Picture:
    def rows() -> list[str]:
        table = window_page_pictures.table_of(page)
        lines = (table.titles, *(row.cells for row in table.rows))
        return [table.frame.title, *("  ".join(line) for line in lines), *(fact.text for fact in table.frame.facts)]

    return Picture(name, rows, lambda: window_page_pictures.grab(page, window_page_pictures.SIZES[0], Theme.DARK))


def rows_in(path: Path) -> list[str]:
    return list(json.loads(QImage(str(path)).text(ROWS) or "[]"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="take those whose names hold this")
    words = parser.parse_args()
    _application = QApplication(["pictures", "-platform", "offscreen"])
    for picture in pictures():
        if words.only in picture.name:
            image = picture.take()
            image.setText(ROWS, json.dumps(picture.rows()))
            if not image.save(str(words.folder / f"{picture.name}.png")):
                sys.exit(f"no picture {picture.name}.png")


if __name__ == "__main__":
    main()
