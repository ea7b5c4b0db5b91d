import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from tests.core.model.any_text import SOME_TEXT
from tests.view.painted_state import PaintedState
from tests.view.sample_prompts import CURL, connection_of, learned_prompt_of, prompt_of
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.domain import format_label
from tinysnitch.tui.prompt_screen import render_prompt
from tinysnitch.tui.rows import COVERED, COVERED_QUIET, CURSOR, FAULT, QUIET, STRONG, YES
from tinysnitch.view.edit_view import EditView
from tinysnitch.view.escape import cell_width
from tinysnitch.view.prompt_events import KeyPressed, QuestionOpened
from tinysnitch.view.prompt_state import PromptState
from tinysnitch.view.prompt_view import PromptView, present_prompt
from tinysnitch.view.span import Line, Span

FULL = msgspec.structs.replace(
    connection_of(
        msgspec.structs.replace(
            CURL,
            args=("--data", "x" * 4000),
            run_by="/usr/bin/python3.13",
            warnings=("deleted file", "runs from /tmp", "LD_PRELOAD set"),
            is_host_file=False,
        ),
        name="www.shop.co.uk",
    ),
    other_names=("a.test",),
    interface="eth0",
)


def view_of(connection: Connection, keys: str = "") -> PromptView:
    state = PaintedState()
    state.handle(QuestionOpened(prompt_of(1, connection)), 0.0)
    for key in keys:
        state.handle(KeyPressed(key), 1.0)
    return present_prompt(state, 1.0)


WHOLE = view_of(connection_of())


def rows_of(text: Text) -> list[str]:
    return text.plain.split("\n")


def covered_in(text: Text) -> str:
    covered = (span for span in text.spans if span.style in (COVERED, COVERED_QUIET))
    return " ".join(text.plain[span.start : span.end].strip() for span in covered)


@pytest.mark.parametrize("connection", [connection_of(), FULL])
def test_a_small_terminal_shows_all_that_must_be_seen(connection: Connection) -> None:
    view = view_of(connection)
    rows = rows_of(render_prompt(view, 80, 24))
    assert len(rows) <= 24
    assert max(map(cell_width, rows)) <= 80
    screen = "\n".join(rows)
    keys = [f"{hint.label} {hint.text}" for hints in view.everyday for hint in hints if not hint.verdict]
    answers = [f" {label}  {verdict} {view.lifetime}" for label, verdict in (("y", "allow"), ("n", "deny"))]
    wanted = [view.title, "443", f"allow {view.rule[2].text[:6]}", "59 s, then deny", view.why, *answers, *keys]
    assert [text for text in wanted if text not in screen] == []


@pytest.mark.parametrize(
    ("size", "left_out"), [((40, 10), "and 7 more"), ((80, 20), "and 6 more"), ((80, 26), "and 2 more"), ((80, 48), "")]
)
def test_warnings_that_have_no_room_are_counted(size: tuple[int, int], left_out: str) -> None:
    """A program can cause any number of warnings, which stand before other facts."""
    view = msgspec.structs.replace(view_of(connection_of()), warnings=tuple(f"{n}: {'x' * 60}" for n in range(9)))
    rows = rows_of(render_prompt(view, *size))
    shown = [row.strip() for row in rows if row.strip().startswith("!  ")]
    counted = int(left_out.split()[1]) if left_out else 0
    assert (
        sum("!  " in row for row in rows) + counted,
        shown[-1].endswith(left_out),
        max(map(len, rows)) <= size[0],
    ) == (9, True, True)


def test_short_warnings_share_a_row() -> None:
    view = msgspec.structs.replace(view_of(connection_of()), warnings=("one", "two", "x" * 50, "last"))
    shown = [row.strip() for row in rows_of(render_prompt(view, 80, 24)) if " !  " in row]
    assert shown == ["!  one    !  two    !  " + "x" * 50, "!  last"]


TIGHT = ["y  allow for 9 minutes", "n  deny for 9 minutes", "Y allow forever", "d its domain", "e edit", "? all keys"]


@pytest.mark.parametrize("size", [(40, 10), (60, 20), (72, 18)])
@pytest.mark.parametrize("notice", ["", "the rules file loads again"])
def test_a_tight_terminal_shows_whole_keys_the_time_and_why_it_is_asked(size: tuple[int, int], notice: str) -> None:
    view = msgspec.structs.replace(view_of(connection_of()), notice=notice)
    rows = rows_of(render_prompt(view, *size))
    wanted = [view.title, "asked because no", "allow shop.test 443 tcp", "for 9 minutes", "443 tcp", "59 s, then deny"]
    assert (len(rows) <= size[1], [text for text in [*wanted, *TIGHT] if text not in "\n".join(rows)]) == (True, [])


@pytest.mark.parametrize("size", [(20, 5), (30, 8), (80, 5)])
@pytest.mark.parametrize("keys", ["", "e"])
def test_the_smallest_terminal_shows_the_rule_the_first_keys_and_the_time(size: tuple[int, int], keys: str) -> None:
    rows = rows_of(render_prompt(view_of(connection_of(name="b.test"), keys), *size))
    wanted = ["Enter" if keys else "y  allow", " s, then deny"]
    assert (len(rows) <= size[1], [text for text in wanted if text not in "\n".join(rows)]) == (True, [])


def test_news_stand_above_the_sentence_and_lose_their_end() -> None:
    view = msgspec.structs.replace(view_of(connection_of()), notice=f"answered once: deny {'x' * 1300}")
    rows = [row.strip() for row in rows_of(render_prompt(view, 80, 24)) if row.strip()]
    assert rows[0].startswith("answered once: deny xxx")
    last = next(index for index, row in enumerate(rows) if row == view.title) - 1
    assert (rows[last][-1], last < 3) == ("…", True)


def test_news_take_no_room_from_what_is_asked_but_for_a_row() -> None:
    args = ("-o", "SendEnv=GIT_PROTOCOL", "git@shop.test", "git-upload-pack 'me/repo.git'")
    parents = tuple(f"/usr/lib/git-core/{name * 9}" for name in ("a", "b", "c"))
    view = view_of(connection_of(msgspec.structs.replace(CURL, args=args, parents=parents)))
    rows = [row.strip() for row in rows_of(render_prompt(view, 80, 22))]
    view = msgspec.structs.replace(view, notice=f"answered once: deny {'x' * 1300}")
    told = [row.strip() for row in rows_of(render_prompt(view, 80, 23))]
    assert [row for row in told if "xxx" not in row and row] == [row for row in rows if row]
    assert sum("xxx" in row for row in told) == 1


def test_a_rule_that_fits_into_its_rows_is_not_cut() -> None:
    words = tuple(f"--word-{number}-of-many" for number in range(9))  # 66 columns and four rows hold it, as it breaks
    rows = rows_of(render_prompt(view_of(connection_of(msgspec.structs.replace(CURL, args=words)), "f"), 80, 24))
    rule = " ".join(row.strip() for row in rows).partition("rule        allow shop.test")[2]
    assert [word for word in words if word not in rule] == []


def test_a_rule_that_must_be_cut_fills_its_rows() -> None:
    words = tuple(f"--word-{number}-of-{'m' * 9}any" for number in range(14))
    rows = rows_of(render_prompt(view_of(connection_of(msgspec.structs.replace(CURL, args=words)), "f"), 80, 24))
    first = next(index for index, row in enumerate(rows) if "allow shop.test" in row)
    assert rows[first + 3].strip().endswith("any")


def test_that_keys_do_not_count_yet_is_said_in_words() -> None:
    for ready, text in ((False, "keys do not count yet"), (True, "asked because")):
        view = msgspec.structs.replace(view_of(connection_of()), is_ready=ready)
        last = [row for row in rows_of(render_prompt(view, 80, 24)) if row.strip()][-1]
        assert text in last


def test_a_dead_enter_is_dim_and_stays() -> None:
    state = state_of_many(1, "e")
    for key in ("home", "x"):
        state.handle(KeyPressed(key), 1.0)
    text = render_prompt(present_prompt(state, 2.0), 80, 24)
    assert dim_among(["Enter", "Esc"], text) == ["Enter"]


@pytest.mark.parametrize(("seconds", "is_dim"), [(60, True), (11, True), (10, False), (0, False)])
def test_the_time_is_quiet_until_its_last_ten_seconds(seconds: int, is_dim: bool) -> None:
    text = render_prompt(msgspec.structs.replace(WHOLE, seconds_left=seconds), 80, 24)
    told = f"{seconds} s, then deny"
    style = text.get_style_at_offset(Console(), text.plain.index(told))
    assert (bool(style.dim), bool(style.reverse)) == (is_dim, not is_dim)


def test_why_a_rule_is_wider_is_told_below_it() -> None:
    view = msgspec.structs.replace(WHOLE, wider="two names of shop.test were allowed")
    rows = [row.strip() for row in rows_of(render_prompt(view, 80, 24))]
    assert rows[rows.index(view.wider) - 2 : rows.index(view.wider)] == [
        "rule        allow shop.test 443 tcp /usr/bin/curl -s https://shop.test/, for",
        "9 minutes",
    ]
    assert view.wider in render_prompt(view, 40, 14).plain


@pytest.mark.parametrize(("size", "are_beside"), [((80, 24), True), ((200, 60), True), ((60, 24), False)])
def test_who_and_where_stand_beside_each_other_where_there_is_room(size: tuple[int, int], are_beside: bool) -> None:
    row = next(row for row in rows_of(render_prompt(WHOLE, *size)) if "/usr/bin/curl" in row)
    assert ("shop.test" in row) is are_beside


def test_the_facts_that_tell_least_go_first() -> None:
    labels = ["path", "package", "user", "address", "direction"]
    view = msgspec.structs.replace(
        view_of(connection_of()), who=tuple(Line(label, (Span(f"of {label}"),)) for label in labels), where=()
    )
    kept = []
    for height in range(30, 7, -1):
        screen = "\n".join(rows_of(render_prompt(view, 80, height)))
        kept.append([label for label in labels if f"of {label}" in screen])
    assert kept[0] == labels
    assert ["path", "package", "user", "address"] in kept
    assert ["path", "user", "address"] in kept
    assert ["user", "address"] in kept


def test_other_names_of_the_address_are_seen_in_a_small_terminal() -> None:
    screen = "\n".join(rows_of(render_prompt(view_of(FULL), 80, 24)))
    assert [
        text for text in ("deleted file", "a.test", "10.0.0.9", "uid 1000", "python3.13") if text not in screen
    ] == []


def test_the_rule_is_whole_when_it_fits() -> None:
    rows = [row.strip() for row in rows_of(render_prompt(view_of(connection_of(), "f"), 100, 30))]
    assert "rule        allow shop.test 443 tcp /usr/bin/curl -s https://shop.test/" in rows


def test_long_arguments_take_the_rows_that_are_free() -> None:
    small, large = (rows_of(render_prompt(view_of(FULL, "j"), 80, height)) for height in (20, 50))
    assert sum("xxx" in row for row in small) == 1
    assert sum("xxxx" in row for row in large) > 1


def test_what_the_rule_covers_stands_out() -> None:
    text = render_prompt(view_of(connection_of(name="www.shop.co.uk"), "djp"), 80, 24)
    assert "shop.co.uk" in covered_in(text)
    assert "www" not in covered_in(text)
    assert "https" not in covered_in(text)
    strong = [text.plain[span.start : span.end] for span in text.spans if span.style == STRONG]
    assert strong[:2] == ["curl", "shop.co.uk"]


def dim_among(words: list[str], text: Text) -> list[str]:
    return [word for word in words if text.get_style_at_offset(Console(), text.plain.index(word)).dim]


def test_only_what_tells_nothing_of_this_question_is_dim() -> None:
    words = ["asked because", "path", "/usr/bin/curl", "user", "uid 1000", "59 s"]
    dim = dim_among(words, render_prompt(view_of(connection_of()), 80, 24))
    assert dim == ["asked because", "path", "user", "59 s"]


@settings(max_examples=50, deadline=None)
@example("\U0001f3fb", b"\0", 20, 3)  # two columns, none for Rich
@given(SOME_TEXT, st.binary(min_size=1, max_size=63), st.integers(1, 200), st.integers(1, 60))
def test_no_text_and_no_size_breaks_the_screen(hostile: str, label: bytes, width: int, height: int) -> None:
    process = msgspec.structs.replace(CURL, program=hostile, args=(hostile,), warnings=(hostile,))
    rows = rows_of(render_prompt(view_of(connection_of(process, name=f"{format_label(label)}.test")), width, height))
    assert len(rows) <= height
    assert all(cell_width(row) <= width and (row.isprintable() or not row) for row in rows)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text("ab /", min_size=1, max_size=200), max_size=8))
def test_the_end_of_the_rule_is_never_cut_off(args: list[str]) -> None:
    process = msgspec.structs.replace(CURL, args=(*args, "--the-end"))
    assert "--the-end" in render_prompt(view_of(connection_of(process), "f"), 80, 24).plain.split("allow shop.test")[1]


def state_of_many(count: int, keys: str, connection: Connection = FULL) -> PromptState:
    state = PaintedState()
    for number in range(1, count + 1):
        named = msgspec.structs.replace(connection, name=f"n{number}.page.test")
        state.handle(QuestionOpened(prompt_of(number, named)), 0.0)
    for key in keys:
        state.handle(KeyPressed(key), 1.0)
    return state


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 200), st.integers(1, 60), st.lists(st.sampled_from(["home", "é", "世"])))
def test_the_editor_breaks_no_screen(width: int, height: int, typed: list[str]) -> None:
    state = state_of_many(1, "e")
    for name in typed:
        state.handle(KeyPressed(name), 1.0)
    rows = rows_of(render_prompt(present_prompt(state, 2.0), width, height))
    assert len(rows) <= height
    assert all(cell_width(row) <= width for row in rows)


def styled_in(text: Text, style: str) -> str:
    """The rows without the labels of keys, which are in reverse video, like the cursor."""
    found = (text.plain[span.start : span.end] for span in text.spans if span.style == style)
    return "".join(one for one in found if one not in ("Enter", "Esc"))


@pytest.mark.parametrize("size", [(80, 24), (40, 10), (20, 5)])
def test_the_cursor_is_in_sight_wherever_it_is_in_a_long_line(size: tuple[int, int]) -> None:
    view, marks = view_of(connection_of(), "e"), "".join(map(chr, range(0x4E00, 0x4E00 + 800)))
    for at in (0, 1, 17, 39, 40, 200, 399, 400, 650, 798, 799):
        edit = EditView(marks[:at], marks[at], marks[at + 1 :], fault="no", column=at + 1)
        text = render_prompt(msgspec.structs.replace(view, edit=edit), *size)
        assert (len(rows_of(text)) <= size[1], styled_in(text, CURSOR)) == (True, marks[at])
        assert (marks[at] in styled_in(text, FAULT), "\u4e00" in text.plain or "rows " in text.plain) == (True, True)
        assert marks[max(0, at - 1)] not in styled_in(text, FAULT) or not at


@pytest.mark.parametrize(
    ("name", "quiet", "strong"),
    [
        ("evil-host.shop.test", "evil-host.", "shop.test"),
        ("shop.test.evil.example", "shop.test.", "evil.example"),
        ("other.test", "", "other.test"),
    ],
)
def test_a_registered_domain_is_bold_and_what_stands_before_it_never_is(name: str, quiet: str, strong: str) -> None:
    """In the sentence, the fact and the rule: it shows on a terminal without colours, too."""
    text = render_prompt(view_of(connection_of(name=name)), 100, 24)
    assert text.plain.count(name) == 3
    parts = [(text.plain[span.start : span.end], str(span.style)) for span in text.spans]
    assert [style for part, style in parts if part.endswith(strong)] == [STRONG, STRONG, COVERED]
    assert [style for part, style in parts if part == quiet] == ([QUIET, QUIET, COVERED_QUIET] if quiet else [])
    assert [part for part, style in parts if style in (STRONG, COVERED) and quiet and quiet in part] == []


def test_keys_are_dim_until_they_count_and_then_green_and_red() -> None:
    text, early = (render_prompt(msgspec.structs.replace(WHOLE, is_ready=ready), 80, 24) for ready in (True, False))
    words = ["allow for 9", "deny for 9", "edit"]
    assert [dim_among(words, screen) for screen in (text, early)] == [[], words]
    assert " allow for 9 minutes" in [text.plain[span.start : span.end] for span in text.spans if span.style == YES]


def test_all_begins_at_the_left_edge_of_the_page() -> None:
    for width, margin in ((80, 1), (200, 50)):
        rows = rows_of(render_prompt(WHOLE, width, 30))
        starts = [WHOLE.title, "path", "rule  ", "Y allow forever", "asked because"]
        assert {row.index(start) for start in starts for row in rows if start in row} == {margin}


def test_a_fault_is_told_below_the_line() -> None:
    state = state_of_many(1, "je")
    for key in ("home", "x"):
        state.handle(KeyPressed(key), 1.0)
    rows = [row.strip() for row in rows_of(render_prompt(present_prompt(state, 2.0), 80, 24))]
    at = rows.index("column 1: not a verdict")
    assert rows[at + 1] == "did you mean 'allow'?"


@pytest.mark.parametrize("size", [(80, 24), (60, 20), (100, 40)])
def test_what_was_learned_is_shown_with_both_lines_and_why(size: tuple[int, int]) -> None:
    state = PaintedState()
    state.handle(QuestionOpened(learned_prompt_of()), 0.0)
    state.handle(KeyPressed("f"), 10.0)
    screen = render_prompt(present_prompt(state, 11.0), *size).plain
    shown = [
        text for text in ("allow *.shop.test ", "deny img.shop.test ", "for all of shop.test, since") if text in screen
    ]
    assert len(shown) == 3
    assert screen.index(shown[0]) < screen.index(shown[1]) < screen.index(shown[2])
