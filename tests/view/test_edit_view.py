from hypothesis import given
from hypothesis import strategies as st

from tests.core.model.any_text import ANY_TEXT
from tinysnitch.view.edit_view import SECRET_IN_LINE, fit_around_cursor, present_edit
from tinysnitch.view.escape import cell_width, escape_text
from tinysnitch.view.line_edit import LineEdit


def test_the_cursor_stands_on_a_character_or_behind_the_last() -> None:
    view = present_edit(LineEdit("deny - - -", 5), 0.0)
    assert (view.before, view.at, view.after) == ("deny ", "-", " - -")
    assert present_edit(LineEdit("deny", 4), 0.0).at == " "


def test_a_fault_is_told_with_its_column_and_a_hint() -> None:
    view = present_edit(LineEdit("allow shop.test 443 tpc", 23), 0.0)
    assert view.fault.startswith("column 21: ")
    assert (view.column, bool(view.hint), view.lifetime) == (21, True, "")


def test_how_long_the_line_holds_is_told() -> None:
    assert present_edit(LineEdit("deny - - -", 0), 0.0).lifetime == "forever, in the rules file"
    assert (
        present_edit(LineEdit("deny until=2030-01-01T00:00:00Z - - -", 0), 0.0).lifetime == "until the time in the line"
    )


def test_what_no_line_can_say_is_told_while_there_is_no_fault() -> None:
    assert present_edit(LineEdit("deny - - -", 0, remark="no line can say once"), 0.0).hint == "no line can say once"
    assert "deny" in present_edit(LineEdit("dney - - -", 0, remark="no line can say once"), 0.0).hint


def test_what_is_told_of_a_fault_piles_no_marks_up() -> None:
    view = present_edit(LineEdit("allow - 443 tcp x\u0301\u0301\u0301\u0301", 0), 0.0)
    assert "/usr/bin/x\u0301\u0301\\u0301\\u0301" in view.hint


def test_columns_count_what_is_shown() -> None:
    view = present_edit(LineEdit("allow parent=/x\u0301\u0301\u0301\u0301 - 443 tpc", 0), 0.0)
    assert view.text[view.column - 1 :].startswith("tpc")


@given(ANY_TEXT, st.integers(0, 50))
def test_hostile_text_is_shown_escaped_and_whole(text: str, cursor: int) -> None:
    view = present_edit(LineEdit(text, min(cursor, len(text))), 0.0)
    assert view.text.rstrip(" ") == escape_text(text).rstrip(" ")
    assert all(part.isprintable() for part in (view.text, view.fault, view.hint))
    assert view.at


@given(ANY_TEXT, st.integers(0, 50), st.integers(4, 60))
def test_what_fits_around_the_cursor_is_no_wider(text: str, cursor: int, width: int) -> None:
    view = present_edit(LineEdit(text, min(cursor, len(text))), 0.0)
    shown = "".join(fit_around_cursor(view, width))
    assert cell_width(shown) <= width
    assert shown == view.text or cell_width(view.text) > width


def test_a_secret_in_the_line_is_told() -> None:
    line = "allow shop.test 443 tcp /usr/bin/curl --token hunter2"
    assert present_edit(LineEdit(line, 0, remark="no line can say once"), 0.0).hint == SECRET_IN_LINE
    assert present_edit(LineEdit(line[: -len(" hunter2")], 0), 0.0).hint == ""
