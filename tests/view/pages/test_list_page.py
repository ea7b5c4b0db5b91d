from tests.view.pages.open_page import LINES, entry_of, press, rules_page
from tinysnitch.protocol.messages import RemoveRule
from tinysnitch.view.pages.list_frame import present_frame
from tinysnitch.view.pages.list_page import key_of_row
from tinysnitch.view.prompt_events import KeyPressed
from tinysnitch.view.prompt_view import KeyHint


def selected(keys: tuple[str, ...]) -> str | None:
    page = rules_page()
    press(page, *keys)
    return page.entry.rule if page.entry else None


def test_no_row_is_selected_until_one_goes_there() -> None:
    assert selected(()) is None
    assert selected(("down",)) == LINES[0]
    assert selected(("down", "down", "down", "down")) == LINES[2]
    assert selected(("end", "up")) == LINES[1]
    assert selected(("pagedown", "pagedown", "home")) == LINES[0]
    assert selected(("down", "escape")) is None


def test_a_click_selects_a_row() -> None:
    page = rules_page()
    page.press(KeyPressed(key_of_row(page.row_keys()[1]), is_click=True), 1.0)
    assert page.entry
    assert page.entry.rule == LINES[1]


def test_the_filter_takes_letters_that_are_keys_elsewhere() -> None:
    page = rules_page()
    assert press(page, "slash", "x", "a", "backspace", "backspace", "s", "s", "h") == ()
    assert [page.entries[key].rule for key in page.row_keys()] == [LINES[2]]
    assert page.takes_text
    press(page, "enter", start_s=30.0)
    assert not page.takes_text
    press(page, "escape", start_s=40.0)
    assert len(page.row_keys()) == 3


def test_what_is_pasted_goes_into_the_filter_and_nowhere_else() -> None:
    page = rules_page()
    page.paste("x\n")
    assert (page.waiting, page.filter.text) == (None, "")
    press(page, "slash")
    page.paste("ads\n")
    assert [page.entries[key].rule for key in page.row_keys()] == [LINES[1]]


def test_enter_changes_only_what_was_in_sight_for_a_while() -> None:
    page = rules_page()
    press(page, "down")
    page.press(KeyPressed("x"), 20.0)
    assert page.hints(20.0)[0].is_dead
    assert page.press(KeyPressed("enter"), 20.1) == ()
    assert page.press(KeyPressed("enter"), 21.0) == (RemoveRule(LINES[0]),)


def test_a_text_with_a_line_end_changes_nothing() -> None:
    """Its keys come faster than anybody types."""
    page = rules_page()
    press(page, "down", "x", start_s=0.0)
    assert [page.press(KeyPressed(key), 9.0 + at / 100) for at, key in enumerate(["a", "b", "enter"])] == [()] * 3
    assert page.waiting


def test_escape_leaves_all_as_it_is() -> None:
    page = rules_page()
    press(page, "down", "x", "escape")
    assert page.waiting is None
    assert press(page, "enter", start_s=30.0) == ()


def test_any_key_leaves_the_help_and_does_nothing_else() -> None:
    page = rules_page()
    press(page, "down", "question_mark")
    assert page.is_help
    assert [row.word for row in page.help_rows()][:2] == ["e", "x"]
    press(page, "x", start_s=30.0)
    assert (page.is_help, page.waiting) == (False, None)


def test_the_frame_tells_the_keys_that_count_now() -> None:
    page = rules_page()
    frame = present_frame(page, 1.0, title="3 rules", facts=())
    assert (frame.at, frame.hints[-1]) == (None, KeyHint("?", "keys"))
    press(page, "down", "x")
    frame = present_frame(page, 20.0, title="3 rules", facts=())
    assert [line.text for line in frame.facts] == [LINES[0]]
    assert frame.hints[0] == KeyHint("Enter", "remove this rule")
    press(page, "escape", "e", start_s=30.0)
    frame = present_frame(page, 40.0, title="3 rules", facts=())
    assert frame.edit
    assert frame.edit.line == LINES[0]
    press(page, "escape", "slash", start_s=40.0)
    assert present_frame(page, 50.0, title="3 rules", facts=()).is_filtering


def test_what_a_filter_or_a_notice_holds_is_escaped() -> None:
    page = rules_page(entry_of(LINES[0]))
    page.notice = "\x1b[2J"
    assert present_frame(page, 1.0, title="", facts=()).notice == r"\x1b[2J"
