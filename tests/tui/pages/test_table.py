import pytest
from rich.text import Text

from tinysnitch.tui.pages.table import Column, Row, cell, fit_columns, list_rows, table_row, title_row
from tinysnitch.tui.rows import key_at
from tinysnitch.view.escape import cell_width

COLUMNS = (
    Column("rule"),
    Column("name", least=8),
    Column("n", is_right=True),
    Column("more", least=4, is_dispensable=True),
)
ROWS = [
    Row(f"row {number}", (cell("allow"), cell(f"n{number}.a.long.name.of.shop.test"), cell("7"), cell("by alice")))
    for number in range(30)
]


def test_columns_are_as_wide_as_what_they_hold() -> None:
    assert fit_columns(COLUMNS, ROWS, 100) == [5, 28, 1, 8]


@pytest.mark.parametrize("room", [50, 40, 30, 24, 20])
def test_what_does_not_fit_is_shortened_or_left_out(room: int) -> None:
    widths = fit_columns(COLUMNS, ROWS, room)
    row = table_row(COLUMNS, widths, ROWS[0])
    assert cell_width(row.plain) <= room
    assert row.plain.startswith("allow  n")
    assert row.plain.rstrip().endswith(".test  7") == (widths[3] == 0)


def test_a_row_is_a_key_and_the_selected_one_is_in_sight() -> None:
    rows = list_rows(COLUMNS, ROWS, 60, 10, at=20)
    assert len(rows) == 10
    assert rows[0].plain == title_row(COLUMNS, fit_columns(COLUMNS, ROWS, 60)).plain
    found = [key_at(row, 3) for row in rows]
    assert "row 20" in found
    selected = rows[found.index("row 20")]
    assert any(str(span.style) == "reverse" for span in selected.spans) or str(selected.style) == "reverse"


def test_a_short_list_is_filled_up_and_an_empty_one_has_no_titles() -> None:
    assert [bool(row.plain.strip()) for row in list_rows(COLUMNS, ROWS[:1], 60, 4, at=None)] == [
        True,
        True,
        False,
        False,
    ]
    assert list_rows(COLUMNS, [], 60, 2, at=None) == [Text(), Text()]
