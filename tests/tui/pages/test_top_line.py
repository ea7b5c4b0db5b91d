import pytest

from tinysnitch.tui.pages.top_line import call_row, tab_row
from tinysnitch.tui.rows import key_at
from tinysnitch.view.escape import cell_width
from tinysnitch.view.pages.call import Call
from tinysnitch.view.pages.tabs import PageName, present_tabs
from tinysnitch.view.span import Span


@pytest.mark.parametrize("width", [30, 40, 80, 200])
def test_a_click_on_a_name_goes_to_its_page(width: int) -> None:
    row = tab_row(present_tabs(PageName.RULES, tuple(PageName)), width)
    assert cell_width(row.plain) <= width
    assert key_at(row, row.plain.index("live")) == "f3"


@pytest.mark.parametrize("width", [30, 40, 80])
def test_the_question_that_waits_fits_the_row_and_is_a_key(width: int) -> None:
    row = call_row(Call((Span("curl wants to reach " + "a" * 200 + ".test"),), "9 s", is_urgent=True), width)
    assert cell_width(row.plain) == width
    assert row.plain.endswith(" 9 s  F2 answers " if width == 80 else " 9 s  F2 ")
    assert key_at(row, 5) == "f2"
