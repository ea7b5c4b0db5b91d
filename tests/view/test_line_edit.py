import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.model.any_text import ANY_CHARACTER
from tests.view.painted_state import PaintedState
from tests.view.sample_prompts import connection_of, prompt_of
from tests.view.test_prompt_state import opened, press, selected_id
from tinysnitch.view.line_edit import MAX_LENGTH, LineEdit, find_fault
from tinysnitch.view.prompt_events import (
    Answer,
    AnswerRefused,
    ConnectionLost,
    DaemonGreeted,
    KeyPressed,
    Leave,
    LineChanged,
    QuestionClosed,
    QuestionOpened,
    RuleChange,
    TextPasted,
)
from tinysnitch.view.prompt_state import Page, PromptState
from tinysnitch.view.prompt_view import PromptView, present_prompt

NOW_S = 1_767_225_600.0  # 2026-01-01T00:00:00Z
NAMES = [
    "left",
    "right",
    "home",
    "end",
    "backspace",
    "delete",
    "ctrl+u",
    "ctrl+k",
    "ctrl+w",
    "f1",
    "tab",
    "x",
    "question_mark",
]


def edited(text: str, *names: str) -> LineEdit:
    line = LineEdit(text, len(text))
    for name in names:
        line = line.press(name)
    return line


@pytest.mark.parametrize(
    ("names", "text", "cursor"),
    [
        (["x"], "abcx", 4),
        ([" ", "question_mark", "space"], "abc ? ", 6),
        (["left", "x"], "abxc", 3),
        (["home", "x", "right", "y"], "xaybc", 3),
        (["left", "left", "end", "x"], "abcx", 4),
        (["backspace"], "ab", 2),
        (["home", "backspace"], "abc", 0),
        (["home", "delete"], "bc", 0),
        (["delete", "f1", "tab", "shift+tab"], "abc", 3),
        (["left", "ctrl+u"], "c", 0),
        (["left", "ctrl+k"], "ab", 2),
        (["ctrl+w", "ctrl+w"], "", 0),
        ([" ", "d", " ", " ", "ctrl+w"], "abc ", 4),
        ([" ", "d", "e", "left", "ctrl+w"], "abc e", 4),
    ],
)
def test_keys_edit_the_line(names: list[str], text: str, cursor: int) -> None:
    assert edited("abc", *names) == LineEdit(text, cursor)


def test_what_a_key_types_counts_more_than_its_name() -> None:
    assert LineEdit("", 0).press("slash", "/") == LineEdit("/", 1)


def test_a_chord_types_nothing() -> None:
    """Alt-y is a command in other editors, and terminals report the character that y alone would type."""
    assert LineEdit("ab", 1).press("alt+y", "y") == LineEdit("ab", 1)


@pytest.mark.parametrize(("key", "words"), [("o", "once"), ("u", "until it quits")])
def test_what_no_line_can_say_is_told_as_long_as_one_edits(key: str, words: str) -> None:
    state = opened(1)
    press(state, key, "e", "home", "x", "backspace")
    assert state.edit.remark == f"no line can say {words}: this one began with 9 minutes"
    press(state, "escape", now=11.0)
    press(state, "f", "e", now=12.0)
    assert state.edit.remark == ""


@pytest.mark.parametrize(
    ("pasted", "text"),
    [
        ("x y", "ax yb"),
        ("\n deny\r\n\t- \u2028 -\n", "a deny - -b"),
        ("\x1b[2Jx\x00\u202ey\u200bz", "a[2Jxyzb"),
        ("", "ab"),
    ],
)
def test_what_is_pasted_stays_one_line(pasted: str, text: str) -> None:
    line = LineEdit("ab", 1).paste(pasted)
    assert line == LineEdit(text, len(text) - 1)


def test_what_is_pasted_beyond_the_end_is_dropped() -> None:
    line = LineEdit("ab", 1).paste("x" * MAX_LENGTH * 2)
    assert (len(line.text), line.text[-1], line.cursor) == (MAX_LENGTH, "b", MAX_LENGTH - 1)
    assert line.paste("y").press("z") == line


@given(st.lists(st.sampled_from(NAMES)), ANY_CHARACTER)
def test_the_cursor_stays_in_the_line_and_the_line_stays_printable(names: list[str], char: str) -> None:
    line = edited("abc", *names).press(char, char)
    assert 0 <= line.cursor <= len(line.text)
    assert line.text.isprintable()


def test_a_line_that_is_written_anew_keeps_what_can_be_seen_and_its_owner() -> None:
    line = LineEdit("ab", 1, 1000, "remark").rewrite("x\x1b\ny", 2)
    assert line == LineEdit("xy", 2, 1000, "remark")
    assert line.rewrite("x" * MAX_LENGTH * 2, -1) == LineEdit("x" * MAX_LENGTH, 0, 1000, "remark")


def test_a_line_has_a_longest_length() -> None:
    assert len(edited("x" * MAX_LENGTH, "y").text) == MAX_LENGTH


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("", 1),
        ("allow", 6),
        ("permit - - -", 1),
        ("allow - 80 tcpp", 12),
        ("ask - - -", 1),
        ("allow - - - 'a", 13),
        ("deny until=2026-01-01T00:00:00Z - - -", 6),
    ],
)
def test_a_fault_is_found_where_it_is(line: str, column: int) -> None:
    fault = find_fault(LineEdit(line, 0), NOW_S)
    assert fault is not None
    assert (fault.column, bool(fault.problem), bool(fault.hint)) == (column, True, True)


def test_a_rule_has_no_fault() -> None:
    assert find_fault(LineEdit("deny *.shop.test 443 tcp /usr/bin/curl", 0), NOW_S) is None


def test_a_rule_that_is_over_is_no_answer() -> None:
    line = LineEdit("allow user=1000 until='2026-01-01T00:00:00Z' - - -", 0)
    fault = find_fault(line, NOW_S)
    assert fault is not None
    assert (str(fault), fault.hint) == ("column 17: its time is over", "write a later one, or leave until= out")
    assert find_fault(line, NOW_S - 86400.0) is None


@pytest.mark.parametrize(
    ("line", "is_free"),
    [
        ("allow - 443 tcp", False),
        ("allow user=0 - 443 tcp", False),
        ("allow user=10000 - 443 tcp", False),
        ("allow user=1000 - 443 tcp", True),
        ("allow user=alice - 443 tcp", True),  # the daemon will check that this is their name
    ],
)
def test_who_answers_for_their_own_processes_must_be_named(line: str, is_free: bool) -> None:
    edit = LineEdit("", 0, 1000).paste(line).press("home")
    fault = find_fault(edit, NOW_S)
    assert (fault is None) is is_free
    assert fault is None or fault.hint == "write user=1000 behind the verdict"


# `e`: the rule of the question in sight edited by hand


LINE = "allow shop.test 443 tcp /usr/bin/curl -s https://shop.test/"


def shown(state: PromptState, now: float = 12.0) -> PromptView:
    return present_prompt(state, now)


def test_enter_does_not_answer_with_a_line_that_is_over() -> None:
    """The daemon would refuse the line, since it would match nothing."""
    state = opened(1)
    press(state, "3", "e")
    assert shown(state, 100.0).lifetime == "until the time in the line"
    view = shown(state, 200.0)
    assert view.edit is not None
    assert (view.edit.fault, view.hints[0][0].is_dead) == ("column 7: its time is over", True)
    assert press(state, "enter", now=200.0) == []


def test_the_key_that_began_the_edit_is_typed_once_it_was_let_go() -> None:
    """A key that is held down repeats, and would type on at the end of the line."""
    state = opened(1)
    press(state, "f", "e", now=10.0)
    for number in range(30):
        press(state, "e", now=10.5 + number * 0.05)
    assert state.edit.text == LINE
    press(state, "e", now=12.5)
    assert state.edit.text == f"{LINE}e"
    press(state, "escape", now=13.0)
    press(state, "e", "d", "e", now=14.0)  # a fast typist
    assert state.edit.text == f"{LINE}de"


def test_enter_answers_with_the_edited_line() -> None:
    state = opened(1, 2)
    press(state, "f", "e")
    assert (state.page, state.edit.text) == (Page.EDIT, LINE)
    press(state, "space", "x", now=11.0)
    assert press(state, "enter", now=11.5) == [Answer(1, None, f"{LINE} x")]
    assert (selected_id(state), state.page) == (2, Page.QUESTION)
    assert press(state, "y", now=11.9) == []


def test_a_line_of_who_answers_for_their_own_processes_names_them() -> None:
    state = PaintedState()
    state.handle(DaemonGreeted(is_for_user=True), 0.0)
    state.handle(QuestionOpened(prompt_of(1)), 0.0)
    press(state, "f", "e", now=10.0)
    assert state.edit.text == LINE.replace("allow", "allow user=1000")
    press(state, "home", *["right"] * 6, *["delete"] * 10, now=11.0)
    assert state.edit.text == LINE
    assert press(state, "enter", now=12.0) == []


def test_letters_are_text_there_and_no_keys() -> None:
    state = opened(1)
    assert press(state, "f", "e", *"ynqhlg", "tab", now=11.0) == []
    assert state.edit.text == f"{LINE}ynqhlg"


@pytest.mark.parametrize(("since_s", "is_taken"), [(0.49, False), (0.5, True)])
def test_enter_counts_after_the_delay(since_s: float, is_taken: bool) -> None:
    state = opened(1)
    press(state, "e", now=10.0)
    assert bool(press(state, "enter", now=10.0 + since_s)) is is_taken


def test_the_end_of_a_pasted_line_is_no_answer() -> None:
    state = opened(1)
    press(state, "e", now=10.0)
    assert press(state, " ", "x", "enter", now=20.0) == []
    assert len(press(state, "enter", now=21.0)) == 1


def test_a_line_is_changed_by_other_means_than_keys_only_while_it_is_edited() -> None:
    state = opened(1)
    assert state.handle(LineChanged("y", 1), 10.0) is None
    press(state, "e", now=10.0)
    assert state.edit.text != "y"
    assert state.handle(LineChanged("deny - - -", 4), 20.0) is None
    assert (state.edit.text, state.edit.cursor) == ("deny - - -", 4)
    view = shown(state, 20.0)
    assert view.edit
    assert (view.edit.line, view.edit.cursor) == ("deny - - -", 4)
    assert press(state, "enter", now=20.0) == []  # as after a paste


def test_a_paste_is_text_of_the_line_and_never_answers() -> None:
    state = opened(1)
    assert state.handle(TextPasted("y"), 9.0) is None
    assert state.page is Page.QUESTION
    press(state, "f", "e", now=10.0)
    state.handle(TextPasted(" x\nallow - - -\n"), 20.0)
    assert state.edit.text == f"{LINE} x allow - - -"
    assert press(state, "enter", now=20.0) == []
    assert len(press(state, "enter", now=21.0)) == 1


def test_what_is_no_rule_is_no_answer_and_says_why() -> None:
    state = opened(1)
    press(state, "f", "e", "home", "x")
    assert press(state, "enter", now=20.0) == []
    edit = shown(state).edit
    assert edit is not None
    assert (edit.column, edit.fault[:10]) == (1, "column 1: ")


@pytest.mark.parametrize("key", ["o", "u", "9"])
def test_a_line_begins_with_the_default_time_where_none_can_say_the_lifetime(key: str) -> None:
    state = opened()
    state.handle(QuestionOpened(msgspec.structs.replace(prompt_of(1), age_s=20.0)), 100.0)
    state.wall_ahead_s = 1_700_000_030.0 - 110.0
    press(state, key, "e", now=110.0)
    assert state.edit.text == f"allow until=2023-11-14T22:22:50Z {LINE[6:]}"


def test_escape_goes_back_and_the_delay_runs_again() -> None:
    state = opened(1, 2)
    press(state, "tab", now=5.0)
    press(state, "e", "x", "escape", now=10.0)
    assert (state.page, selected_id(state)) == (Page.QUESTION, 2)
    assert press(state, "y", now=10.2) == []
    assert len(press(state, "y", now=10.5)) == 1


def test_keys_for_a_question_that_vanished_reach_no_other() -> None:
    state = opened(1, 2)
    press(state, "e", "x")
    state.handle(QuestionClosed(1, "denied: nobody answered"), 11.0)
    state.handle(QuestionOpened(prompt_of(3)), 11.0)
    line = state.edit.text
    assert press(state, *"yn", "tab", now=20.0) == []
    state.handle(TextPasted("z"), 20.0)
    assert (state.is_edit_lost, state.edit.text) == (True, f"{line}ynz")
    assert (shown(state).is_question, [hint.label for hint in shown(state).hints[0]]) == (False, ["Enter", "Esc"])
    press(state, "escape", now=20.0)
    assert (state.page, selected_id(state)) == (Page.QUESTION, 2)
    assert press(state, "y", now=20.4) == []


def test_a_lost_daemon_leaves_the_editor_to_be_left() -> None:
    state = opened(1)
    press(state, "e")
    state.handle(ConnectionLost("the daemon is gone"), 11.0)
    assert state.is_edit_lost
    press(state, "escape", now=12.0)
    assert shown(state).title == "waiting for the daemon"


def test_an_edited_line_answers_no_question_of_the_next_daemon() -> None:
    """The clock may begin to count anew."""
    state = opened(1)
    press(state, "f", "e")
    state.handle(ConnectionLost("the daemon is gone"), 11.0)
    state.handle(QuestionOpened(prompt_of(1)), 12.0)
    assert press(state, "enter", now=20.0) == [RuleChange(LINE)]
    assert (state.page, selected_id(state)) == (Page.QUESTION, 1)
    assert press(state, "y", now=20.1) == []


def test_enter_adds_the_rule_of_a_question_whose_time_ended() -> None:
    state = opened(1, 2)
    press(state, "f", "e", "x")
    state.handle(QuestionClosed(1, "denied: nobody answered"), 70.0)
    assert press(state, "enter", now=80.0) == [RuleChange(f"{LINE}x")]
    assert (state.page, selected_id(state)) == (Page.QUESTION, 2)
    assert press(state, "y", now=80.1) == [], "the next question counts as new"


def test_a_line_with_a_fault_is_not_added() -> None:
    state = opened(1)
    press(state, "f", "e", "ctrl+u")
    state.handle(QuestionClosed(1, "denied: nobody answered"), 70.0)
    assert press(state, "enter", now=80.0) == []
    assert (state.is_edit_lost, shown(state).hints[0][0].is_dead) == (True, True)


def test_a_refused_line_is_there_to_be_mended() -> None:
    state = opened(1)
    press(state, "f", "e", "x")
    press(state, "enter", now=12.0)
    state.handle(AnswerRefused(1, "the rule says nothing of it"), 12.1)
    assert (state.page, state.notice) == (Page.QUESTION, "the rule says nothing of it")
    press(state, "e", now=13.0)
    assert state.edit.text == f"{LINE}x"


def test_a_refusal_does_not_take_the_line_from_under_the_cursor() -> None:
    state = opened(1, 2)
    press(state, "y", now=10.0)
    press(state, "e", now=11.0)
    state.handle(AnswerRefused(1, "no"), 11.1)
    assert (state.page, selected_id(state)) == (Page.EDIT, 2)
    press(state, "escape", now=12.0)
    press(state, "escape", now=13.0)
    assert selected_id(state) == 1


def test_control_c_leaves_from_there_too() -> None:
    state = opened(1)
    press(state, "e")
    assert state.handle(KeyPressed("ctrl+c"), 10.0) == Leave()


def test_the_view_shows_the_line_its_lifetime_and_its_keys() -> None:
    state = PaintedState()
    state.handle(QuestionOpened(prompt_of(1, connection_of(name=None))), 0.0)
    press(state, "f", "e")
    view = shown(state)
    assert view.edit is not None
    assert view.edit.text.startswith("allow 10.0.0.9 443 tcp")
    assert (view.lifetime, [hint.label for hint in view.hints[0]]) == ("forever, in the rules file", ["Enter", "Esc"])
