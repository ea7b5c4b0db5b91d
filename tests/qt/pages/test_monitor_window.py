"""The window of the pages, painted into memory."""

import time
from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton

from tests.qt.pages.test_page_table import table_of
from tests.view.history.test_history_view import make_line
from tests.view.live.sample_traffic import entry, live_page, press
from tests.view.pages.open_page import LINES, entry_of, rules_page
from tests.view.pages.test_history_page import history_page
from tinysnitch.qt.pages.monitor_window import MonitorWindow
from tinysnitch.qt.span_label import SpanLabel
from tinysnitch.view.pages.list_page import ListPage
from tinysnitch.view.pages.tabs import PageName, present_tabs

PAGES = (PageName.LIVE, PageName.RULES)


@pytest.fixture(name="window")
def _window(application: QApplication) -> Iterator[MonitorWindow]:
    window = MonitorWindow()
    window.open()
    yield window
    window.close()


def show(window: MonitorWindow, page: ListPage) -> None:
    window.show_page(table_of(page), present_tabs(page.name, PAGES))
    QApplication.processEvents()


def texts(window: MonitorWindow) -> list[str]:
    return [label.text() for label in window.findChildren(SpanLabel) if label.isVisible()]


def heard(window: MonitorWindow) -> list[str]:
    names: list[str] = []
    window.pressed.connect(lambda name, _text, _typed_s: names.append(name))
    window.clicked.connect(lambda name, _at_s: names.append(name))
    return names


def test_a_page_is_a_table_with_titles_facts_and_keys(window: MonitorWindow) -> None:
    page = live_page()
    press(page, "down", start_s=1.0)
    show(window, page)
    model = window.model
    assert (model.rowCount(), model.data(model.index(0, 0))) == (4, "▸ firefox")
    assert model.headerData(1, Qt.Orientation.Horizontal) == "in/s\N{NO-BREAK SPACE}"
    assert window.table.currentIndex().row() == 0
    assert any("/usr/lib/firefox/firefox" in text for text in texts(window))
    buttons = [button.accessibleName() for button in window.findChildren(QPushButton) if button.isVisible()]
    assert "F3: live, chosen" in buttons
    assert "y: allow" in buttons


def test_keys_and_clicks_are_told_and_nothing_else_is_done(window: MonitorWindow) -> None:
    page = live_page()
    show(window, page)
    names = heard(window)
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Y, Qt.Key.Key_F6, Qt.Key.Key_Tab, Qt.Key.Key_Space):
        QTest.keyClick(window, key)
    assert names == ["down", "y", "f6", "tab", " "]
    names.clear()
    place = window.table.visualRect(window.model.index(1, 0)).center()
    QTest.mouseClick(window.table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    window.table.horizontalHeader().sectionClicked.emit(5)
    window.table.horizontalHeader().sectionClicked.emit(8)
    assert names == [f"row {page.row_keys()[1]}", "sort connections"]


def test_what_changes_in_place_keeps_the_selection_and_what_goes_does_not(window: MonitorWindow) -> None:
    page = live_page()
    press(page, "down", "down", start_s=1.0)
    show(window, page)
    resets: list[None] = []
    window.model.modelReset.connect(lambda: resets.append(None))
    show(window, page)
    assert (resets, window.table.currentIndex().row()) == ([], 1)
    press(page, "slash", *"curl", start_s=5.0)
    show(window, page)
    assert (len(resets), window.model.rowCount()) == (1, 1)
    press(page, "escape", "escape", start_s=20.0)
    show(window, page)
    assert not window.table.selectionModel().hasSelection()


def test_the_line_that_is_edited_has_a_field_and_its_fault_is_told(window: MonitorWindow) -> None:
    page = rules_page()
    press(page, "down", "e", "home", "x")
    show(window, page)
    assert window._field.isVisible()
    assert window._field.text() == f"x{LINES[0]}"
    assert any("not a verdict" in text for text in texts(window))
    edits: list[str] = []
    window.edited.connect(lambda text, _cursor: edits.append(text))
    window._field.setText(LINES[0])
    assert edits[-1] == LINES[0]


def test_each_column_is_as_wide_as_what_is_in_it(window: MonitorWindow) -> None:
    lines = (make_line("/usr/lib/systemd/systemd-timesyncd", 1234, received=270_000_000, denied=1),)
    for page in (history_page(*lines), rules_page(entry_of(f"allow {'a' * 30}.shop.test - -", count=10**9))):
        show(window, page)
        metrics = QFontMetrics(window.table.font())
        for at in range(window.model.columnCount()):
            text = str(window.model.data(window.model.index(0, at)))
            assert metrics.horizontalAdvance(text) <= window.table.columnWidth(at), text


def test_hostile_names_are_shown_escaped(window: MonitorWindow) -> None:
    page = live_page(entry("/tmp/\x1b[2J\u202e", "\x1b.test"))
    press(page, "plus", "down", start_s=1.0)
    show(window, page)
    cells = [window.model.data(window.model.index(row, 0)) for row in range(window.model.rowCount())]
    assert all(cell.isprintable() for cell in cells)
    assert all(text.isprintable() for text in texts(window))


def test_a_thousand_rows_are_shown_at_once(window: MonitorWindow) -> None:
    page = live_page(*(entry(f"/usr/bin/p{number}") for number in range(1000)))
    show(window, page)
    began_s = time.monotonic()
    show(window, page)
    assert time.monotonic() - began_s < 5.0
