import pytest

from tests.view.history.test_history_view import make_line
from tests.view.pages.open_page import press
from tests.view.pages.test_history_page import history_page
from tests.view.pages.test_names_page import names_page
from tinysnitch.tui.pages.history_screen import draw_history, draw_names
from tinysnitch.tui.rows import key_at
from tinysnitch.view.escape import cell_width
from tinysnitch.view.lookup import NO_LOOKUP


@pytest.mark.parametrize("size", [(80, 23), (200, 59), (60, 20), (40, 13)])
def test_the_history_fits_any_terminal_and_a_click_selects(size: tuple[int, int]) -> None:
    page = history_page(*(make_line(f"/usr/bin/program{number}", 400 - number) for number in range(300)))
    page.selected = page.row_keys()[200]
    rows = draw_history(page, NO_LOOKUP, 1.0, *size)
    assert len(rows) <= size[1]
    assert max(cell_width(row.plain.rstrip()) for row in rows) <= size[0]
    row = next(row for row in rows if "m200" in row.plain)
    assert key_at(row, 5) == f"row {page.selected}"
    assert any(str(span.style) == "reverse" for span in row.spans) or str(row.style) == "reverse"


def test_without_a_row_there_is_no_table() -> None:
    page = history_page()
    press(page, "slash", *"zzz")
    assert "connections" not in "\n".join(row.plain for row in draw_history(page, NO_LOOKUP, 1.0, 80, 23)[2:])


def test_the_names_fit_a_terminal() -> None:
    page = names_page()
    press(page, "down")
    rows = draw_names(page, 1.0, 80, 23)
    assert any("/usr/bin/curl" in row.plain for row in rows)
    assert max(cell_width(row.plain.rstrip()) for row in rows) <= 80
