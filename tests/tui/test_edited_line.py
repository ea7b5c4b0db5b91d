from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.tui.edited_line import render_edit
from tinysnitch.view.edit_view import present_edit
from tinysnitch.view.line_edit import LineEdit
from tinysnitch.view.text import cell_width


def test_what_is_typed_at_the_end_is_written_alone() -> None:
    assert render_edit(present_edit(LineEdit("ab", 2), 0.0), present_edit(LineEdit("abc", 3), 0.0), 80) == "c"


def test_any_other_change_writes_the_row_again_and_puts_the_cursor_back() -> None:
    written = render_edit(present_edit(LineEdit("abc", 3), 0.0), present_edit(LineEdit("abc", 1), 0.0), 10)
    assert written == "\rabc      \ra"


def test_what_is_cut_off_is_marked_at_its_end() -> None:
    line = "abcdefghijklmnop"
    shown = [render_edit(None, present_edit(LineEdit(line, cursor), 0.0), 9) for cursor in (16, 0, 8)]
    assert shown == ["\r…lmnop  \r…lmnop", "\rabcdefg…\r", "\r…defghi…\r…defgh"]


@given(st.text(max_size=200), st.integers(0, 200), st.integers(1, 100))
def test_the_row_is_never_wider_than_the_terminal(text: str, cursor: int, width: int) -> None:
    written = render_edit(None, present_edit(LineEdit(text, min(cursor, len(text))), 0.0), width)
    rows = written.split("\r")
    assert max(map(cell_width, rows)) <= max(4, width - 1)
    assert rows[1].startswith(rows[2])
