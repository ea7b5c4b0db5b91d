"""Pictures of the window of the pages, at two sizes, dark and light: `make screenshots`."""

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

from PySide6.QtCore import QSize
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication

from bench.page_pictures import (
    LOOKUP,
    all_rules,
    asking,
    busy_page,
    by_domain,
    changed,
    explained,
    of_chromium,
    pressed,
)
from bench.picture_samples import NOW, past
from tests.view.pages.test_history_page import history_page
from tinysnitch.protocol.messages import Theme
from tinysnitch.qt.pages.monitor_window import MonitorWindow
from tinysnitch.qt.pages.page_table import PageTable, present_page
from tinysnitch.view.pages.list_page import ListPage
from tinysnitch.view.pages.tabs import PageName, present_tabs

SIZES = (QSize(960, 528), QSize(1440, 800))
PAGES = (PageName.LIVE, PageName.HISTORY, PageName.NAMES, PageName.RULES)


def pages() -> Iterator[tuple[str, ListPage]]:
    yield "live", explained(busy_page())
    yield "history", pressed(history_page(*past()), "down", "down")
    yield "history-domain", by_domain(history_page(*past()))
    yield "names", pressed(asking(), "down")
    yield "names-chromium", of_chromium(asking())
    yield "rules", pressed(all_rules(), "down", "down", "down")
    yield "rules-undo", pressed(changed(all_rules()), "z")
    yield "rules-edit", pressed(all_rules(), "down", "down", "down", "e", "home", "x")


def table_of(page: ListPage) -> PageTable:
    return present_page(page, 1.0, LOOKUP, NOW)


def grab(page: ListPage, size: QSize, theme: Theme) -> QImage:
    """The window as it shows the page."""
    window = MonitorWindow(theme)
    window.resize(size)
    window.open()
    window.show_page(table_of(page), present_tabs(page.name, PAGES))
    for _ in range(3):  # each may ask for a new layout
        QApplication.processEvents()
    image = window.grab().toImage()
    window.close()
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="take those whose names hold this")
    words = parser.parse_args()
    words.folder.mkdir(parents=True, exist_ok=True)
    _application = QApplication(["pictures", "-platform", "offscreen"])
    for (name, page), size, theme in itertools.product(pages(), SIZES, (Theme.DARK, Theme.LIGHT)):
        path = words.folder / f"window-page-{size.width()}x{size.height()}-{theme.value}-{name}.png"
        if words.only in path.name and not grab(page, size, theme).save(str(path)):
            sys.exit(f"no picture {path.name}")


if __name__ == "__main__":
    main()
