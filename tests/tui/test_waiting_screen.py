import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.text import Text

from tests.core.model.any_text import SOME_TEXT
from tests.core.prompts.catalogued import CATALOGUE
from tests.tui.test_prompt_screen import rows_of, state_of_many
from tests.view.painted_state import PaintedState
from tests.view.sample_decisions import line_of
from tests.view.sample_prompts import IN, connection_of
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.protocol.log_lines import ConnectionLine
from tinysnitch.tui.rows import CURSOR, NO, key_at
from tinysnitch.tui.waiting_screen import render_waiting
from tinysnitch.view.escape import cell_width
from tinysnitch.view.prompt_events import DecisionsTold, KeyPressed, QuestionClosed
from tinysnitch.view.prompt_state import PromptState
from tinysnitch.view.prompt_view import present_prompt

WAITING = present_prompt(PaintedState(), 0.0)
ALLOWED = line_of(connection_of(name="cdn.shop.test"), Verdict.ALLOW, "allow *.shop.test 443 tcp", second=5)
LINES = (line_of(connection_of(name="old.test")), line_of(connection_of(flow=IN, name=None)), ALLOWED, ALLOWED)


def decided(lines: tuple[ConnectionLine, ...] = LINES, keys: tuple[str, ...] = ()) -> PromptState:
    state = PaintedState()
    state.is_connected, state.recent.catalogue = True, CATALOGUE
    state.handle(DecisionsTold(lines), 0.0)
    for second, key in enumerate(keys):
        state.handle(KeyPressed(key), 1.0 + second)
    return state


def drawn(state: PromptState, width: int, height: int, now: float = 9.0) -> Text:
    return render_waiting(present_prompt(state, now), width, height)


def test_the_last_decisions_are_rows_with_whole_names() -> None:
    rows = [row.strip() for row in rows_of(drawn(decided(), 100, 24)) if row.strip()]
    assert [row.split() for row in rows[:-1]] == [
        ["no", "questions"],
        ["22:13:25", "allow", "curl", "→", "cdn.shop.test", "443", "tcp", "x2", "allow", "*.shop.test", "443", "tcp"],
        ["22:13:20", "deny", "curl", "←", "10.0.0.5", "22", "tcp", "no", "answer", "within", "60", "s"],
        ["22:13:20", "deny", "curl", "→", "old.test", "443", "tcp", "no", "answer", "within", "60", "s"],
    ]
    small = [row.split() for row in rows_of(drawn(decided(), 40, 14))]
    assert ["allow", "curl", "→", "cdn.shop.test", "443", "x2"] in small


def test_a_verdict_has_its_colour_and_the_selected_row_is_in_reverse() -> None:
    text = drawn(decided(keys=("down",)), 80, 24)
    styles = {text.plain[span.start : span.end]: str(span.style) for span in text.spans}
    assert (styles["deny "], "allow" in styles) == (NO, False)
    (chosen,) = [
        text.plain[span.start : span.end] for span in text.spans if span.style == CURSOR and span.end - span.start > 9
    ]
    assert (chosen.split()[:2], cell_width(chosen)) == (["22:13:25", "allow"], 78)


@pytest.mark.parametrize("size", [(40, 14), (80, 24), (200, 60)])
def test_of_the_selected_one_is_told_what_decided_and_what_keys_do(size: tuple[int, int]) -> None:
    screen = " ".join(drawn(decided(keys=("down", "down")), *size).plain.split())
    wanted = ["no rule: no answer within 60 s", "allow 10.0.0.5 22 tcp-src /usr/bin/curl", "allow forever"]
    assert [text for text in (*wanted, "deny forever", "edit", "back") if text not in screen] == []
    screen = " ".join(drawn(decided(keys=("down",)), *size).plain.split())
    assert [text for text in ("allow *.shop.test 443 tcp", "a rule does so already") if text not in screen] == []


def test_the_list_scrolls_with_what_is_selected() -> None:
    many = tuple(line_of(connection_of(name=f"n{number}.test")) for number in range(90))
    for keys, shown, hidden in (((), "n89.test", "n0.test"), (("down", "end"), "n0.test", "n89.test")):
        screen = drawn(decided(many, keys), 80, 24).plain
        assert (f" {shown}" in screen, f" {hidden}" in screen, len(screen.split("\n"))) == (True, False, 24)


def test_a_click_on_a_row_selects_it() -> None:
    text = drawn(decided(), 80, 24)
    row = next(row for row in text.split("\n", allow_blank=True) if "old.test" in row.plain)
    state = decided(keys=(key_at(row, 20) or "",))
    assert [row.line.name for row in state.recent.rows if row == state.recent.selected] == ["old.test"]


def test_an_edited_rule_for_a_decision_stands_alone() -> None:
    screen = drawn(decided(keys=("down", "down", "e")), 80, 24).plain
    wanted = ["a rule for what was decided", "deny 10.0.0.5 22 tcp-src /usr/bin/curl", "Enter add the rule"]
    assert [text for text in wanted if text not in screen] == []


@settings(max_examples=50, deadline=None)
@given(SOME_TEXT, SOME_TEXT, st.integers(1, 200), st.integers(1, 60), st.sampled_from([(), ("down",), ("down", "e")]))
def test_no_text_and_no_size_breaks_the_screen(
    program: str, name: str, width: int, height: int, keys: tuple[str, ...]
) -> None:
    line = msgspec.structs.replace(ALLOWED, program=program, name=name, reason=name, rule=None)
    rows = rows_of(drawn(decided((line, *LINES), keys), width, height))
    assert len(rows) <= height
    assert all(cell_width(row) <= width and (row.isprintable() or not row) for row in rows)


def test_after_an_answer_its_rule_takes_three_rows_at_most() -> None:
    state = PaintedState()
    state.notice = f"answered forever: allow shop.test 443 tcp /usr/bin/curl {'x' * 1300}"
    rows = rows_of(render_waiting(present_prompt(state, 0.0), 80, 24))
    assert sum("answered" in row or "xxxx" in row for row in rows) == 3


def test_waiting_is_quiet() -> None:
    state = PaintedState()
    state.notice = "the daemon is gone"
    rows = rows_of(render_waiting(present_prompt(state, 0.0), 80, 24))
    told = [row.strip() for row in rows if row.strip()]
    assert told == ["waiting for the daemon", "the daemon is gone", "z undo   h help   l legend   q leave"]


def test_what_is_wrong_is_told_while_nothing_is_asked() -> None:
    view = msgspec.structs.replace(WAITING, warnings=("rules not loaded: " + "x" * 70,), notice="answered")
    told = [row.strip() for row in rows_of(render_waiting(view, 80, 24)) if row.strip()]
    assert "".join(told[1:3]) == f"! {view.warnings[0]}"
    assert told[3:-1] == ["answered"]


@pytest.mark.parametrize(("size", "count"), [((80, 24), 4), ((40, 24), 4), ((40, 8), 1)])
def test_of_a_line_whose_question_is_gone_all_is_shown_that_has_room(size: tuple[int, int], count: int) -> None:
    state = state_of_many(1, "je" + "x" * 999)
    state.handle(QuestionClosed(1, "answered " + "z" * size[0]), 1.0)
    rows = [row.strip() for row in rows_of(render_waiting(present_prompt(state, 2.0), *size))]
    assert (sum("xx" in row for row in rows), "\n".join(rows).rstrip().endswith("Esc go on without it")) == (
        count,
        True,
    )
