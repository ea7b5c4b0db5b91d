import pytest
from PySide6.QtGui import QGuiApplication

from tinysnitch.qt.page_writer import font_of
from tinysnitch.qt.paragraph import Paragraph, Style, cells_of, isolate, text_width
from tinysnitch.view.segment import Segment

pytestmark = pytest.mark.usefixtures("application")


def test_markup_is_only_text() -> None:
    text = "<b>a</b> &amp; <img src=x>"
    assert Paragraph((Segment(text),), Style(font_of(15)), 2000).layout.text() == text


def test_other_scripts_turn_themselves_and_nothing_else() -> None:
    assert isolate("/tmp/plain") == "/tmp/plain"
    assert isolate("/tmp/א/ב") == "/tmp/\u2068א\u2069/\u2068ב\u2069"


def test_what_is_too_long_gives_way_and_keeps_its_end() -> None:
    paragraph = Paragraph((Segment("/a" * 4000 + "/end"),), Style(font_of(15)), 600, rows=3)
    assert paragraph.layout.lineCount() <= 3
    assert paragraph.layout.text().endswith("/end")
    assert paragraph.width <= 600


def test_covered_parts_are_marked_where_qt_counts_them() -> None:
    paragraph = Paragraph((Segment("😀😀 "), Segment("b", is_covered=True)), Style(font_of(15)), 600)
    (covered,) = paragraph.layout.formats()
    before = paragraph.layout.text().encode("utf-16-le")[: 2 * covered.start]
    assert before.decode("utf-16-le").endswith(" ")


def test_rows_have_room_for_so_many_letters(application: QGuiApplication) -> None:
    font = font_of(15)
    assert cells_of(font, 10.5 * text_width("0", font), 1) == 10
    assert cells_of(font, 0.0, 1) == 1
