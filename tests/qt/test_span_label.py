import pytest
from PySide6.QtGui import QColor

from tests.qt.test_paragraph import style
from tinysnitch.qt.span_label import SpanLabel
from tinysnitch.view.span import Span

pytestmark = pytest.mark.usefixtures("application")


def test_markup_is_only_text_and_a_screen_reader_gets_all_of_it() -> None:
    label = SpanLabel()
    text = "<b>a</b> &amp; <img src=x>" + "x" * 4000
    label.show_spans((Span(text),), style(), rows=2)
    assert label.text() == text
    assert label.heightForWidth(300) < 3 * label.fontMetrics().height()


def test_it_is_as_high_as_its_rows() -> None:
    label = SpanLabel()
    label.show_text("words " * 40, style(), rows=3)
    one, two, three = (label.heightForWidth(width) for width in (10_000, 1300, 300))
    assert one < two < three == pytest.approx(3 * one, abs=3)
    assert label.minimumSizeHint().width() < 100 < label.sizeHint().width()


def test_what_is_covered_is_painted_in_its_colour() -> None:
    label = SpanLabel()
    label.show_spans((Span("plain "), Span("covered", is_covered=True)), style())
    label.resize(label.sizeHint())
    picture = label.grab().toImage()

    def has(color: str, start: float, end: float) -> bool:
        columns = range(int(picture.width() * start), int(picture.width() * end))
        wanted = QColor(color)
        return any(picture.pixelColor(x, y) == wanted for x in columns for y in range(picture.height()))

    assert has("yellow", 0.5, 1.0)
    assert not has("yellow", 0.0, 0.4)


def test_it_is_empty_before_it_shows_anything() -> None:
    label = SpanLabel()
    assert (label.sizeHint().width(), label.minimumSizeHint().width(), label.heightForWidth(100)) == (0, 0, 0)
    label.grab()
