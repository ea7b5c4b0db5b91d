import msgspec
import pytest
from PySide6.QtGui import QColor, QFont, QFontDatabase
from PySide6.QtWidgets import QApplication

from tinysnitch.qt.paragraph import Paragraph, Style, cells_of, isolate, text_width
from tinysnitch.view.span import Span, Weight, spans_of_name

pytestmark = pytest.mark.usefixtures("application")


def font_of(px: int) -> QFont:
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    font.setPixelSize(px)
    return font


def style() -> Style:
    return Style(font_of(15), QColor("white"), QColor("yellow"), QColor("gray"))


def shown(paragraph: Paragraph, row: int = 0) -> str:
    """The text from this row on, without what has no width."""
    return paragraph.layout.text()[paragraph.layout.lineAt(row).textStart() :].replace("\u2060", "")


def test_of_a_name_only_the_registered_domain_is_bold_also_in_a_bold_title() -> None:
    bold = font_of(15)
    bold.setBold(True)
    spans = (Span("to "), *spans_of_name("evil.shop.test"), *spans_of_name("a.b.test", is_covered=True))
    formats = Paragraph(spans, msgspec.structs.replace(style(), font=bold), 2000).layout.formats()
    shown = [(one.start, one.format.fontWeight() > 400, one.format.foreground().color()) for one in formats]
    quiet, covered = style().quiet, style().covered
    assert [(start, is_bold) for start, is_bold, _color in shown] == [(3, False), (8, True), (17, False), (19, True)]
    assert [color for _start, _bold, color in shown if color in (quiet, covered)] == [quiet, covered, covered]


def test_markup_is_only_text() -> None:
    text = "<b>a</b> &amp; <img src=x>"
    assert shown(Paragraph((Span(text),), style(), 2000)) == text


def test_other_scripts_turn_themselves_and_nothing_else() -> None:
    assert isolate("/tmp/plain") == "/tmp/plain"
    assert isolate("/tmp/א/ב") == "/tmp/\u2068א\u2069/\u2068ב\u2069"


def test_an_accent_stays_with_its_letter() -> None:
    assert isolate("/tmp/Re\u0301sume\u0301א") == "/tmp/Re\u0301sume\u0301\u2068א\u2069"


def test_what_is_too_long_gives_way_and_keeps_its_end() -> None:
    paragraph = Paragraph((Span("/a" * 4000 + "/end"),), style(), 600, rows=3)
    assert paragraph.layout.lineCount() <= 3
    assert shown(paragraph).endswith("/end")
    assert paragraph.width <= 600


@pytest.mark.parametrize("width", [80, 333, 600, 1280])
@pytest.mark.parametrize("rows", [1, 2, 4])
@pytest.mark.parametrize("letter", ["x", "字", "ש", "</"])
def test_the_end_of_the_text_is_in_the_last_row(letter: str, rows: int, width: int) -> None:
    layout = Paragraph((Span(f"--data '{letter * 1000}", True), Span("the end'")), style(), width, rows).layout
    last = layout.lineAt(layout.lineCount() - 1)
    assert layout.lineCount() <= rows
    assert last.textStart() + last.textLength() == len(layout.text())
    assert layout.text().endswith("'")


@pytest.mark.parametrize(("before", "after"), [("evil-", "bank.test"), ("/opt/", "bin/curl")])
def test_no_row_ends_within_a_name_or_path(before: str, after: str) -> None:
    """The next one would begin with what looks like a whole one."""
    paragraph = Paragraph((Span(f"to the {before}"), Span(after)), style(), 150, rows=2)
    assert shown(paragraph, row=1) == before + after


def test_a_quiet_remark_stays_in_one_row() -> None:
    rule = "allow *.shop.test 443 tcp /usr/bin/curl"
    remark = Span(", for 9 minutes", weight=Weight.QUIET)
    layout = Paragraph((Span(rule), remark), style(), text_width(f"{rule}, for 9", font_of(15)), rows=2).layout
    assert layout.text()[layout.lineAt(1).textStart() :] == "for\u00a09\u00a0minutes"


def test_a_very_long_word_fills_its_rows() -> None:
    layout = Paragraph((Span("--data '<b>a</b>" + "x" * 1000),), style(), 600, rows=3).layout
    widths = [layout.lineAt(row).naturalTextWidth() for row in range(3)]
    assert min(widths[:-1]) > 550
    assert widths[-1] > 400


def test_covered_parts_are_marked_where_qt_counts_them() -> None:
    paragraph = Paragraph((Span("😀😀 "), Span("b", is_covered=True)), style(), 600)
    (covered,) = paragraph.layout.formats()
    before = paragraph.layout.text().encode("utf-16-le")[: 2 * covered.start]
    assert before.decode("utf-16-le").endswith(" ")


def test_rows_have_room_for_so_many_letters(application: QApplication) -> None:
    font = font_of(15)
    assert cells_of(font, 10.5 * text_width("0", font), 1) == 10
    assert cells_of(font, 0.0, 1) == 1
