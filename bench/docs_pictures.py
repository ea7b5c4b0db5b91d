"""The pictures of terminals in the docs: `make pictures` takes them again.

Each has in its file what was on the screen, row by row and with its styles. So a test can tell that a picture shows
what the program draws now (tests/bench/test_docs_pictures.py), whatever fonts a machine has.
"""

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtGui import QGuiApplication, QImage
from rich.text import Text

from bench.command_pictures import SHOTS, show
from bench.page_pictures import pages, screen
from bench.terminal_pictures import asked, draw, paint

SIZE = (80, 24)
GROUND = "dark"
ROWS = "rows"  # the key of the text in the file
_PAGES = {"live-explained": "page-live", "rules": "page-rules", "history": "page-history", "names": "page-names"}
_OF_QUESTION_S = 3.0  # after it opened


def pictures() -> dict[str, Callable[[], Text]]:
    """What is on the screen, by the names of the files in docs."""
    found: dict[str, Callable[[], Text]] = {"prompt": lambda: draw(asked(["question"]), _OF_QUESTION_S, *SIZE)}
    for name, on, call, make in pages():
        if name in _PAGES:
            found[_PAGES[name]] = partial(screen, on, call, make, *SIZE)
    for shot in SHOTS:
        if shot.is_in_docs:
            found[f"command-{shot.name}"] = partial(show, shot, *SIZE)
    return found


def rows_of(page: Text) -> list[str]:
    """Each with its styles, for the file."""
    return [row.markup for row in page.split("\n", allow_blank=True)]


def rows_in(path: Path) -> list[str]:
    return list(json.loads(QImage(str(path)).text(ROWS) or "[]"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="take those whose names hold this")
    words = parser.parse_args()
    _application = QGuiApplication(["pictures", "-platform", "offscreen"])
    for name, make in pictures().items():
        if words.only not in name:
            continue
        page = make()
        image = paint(page, *SIZE, GROUND, has_colors=True)
        image.setText(ROWS, json.dumps(rows_of(page)))
        if not image.save(str(words.folder / f"{name}.png")):
            sys.exit(f"no picture {name}.png")


if __name__ == "__main__":
    main()
