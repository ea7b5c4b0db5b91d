"""Questions that are answered together: what is listed of them, and what a person can do in the list."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.model.any_text import SOME_TEXT
from tests.view.painted_state import PaintedState
from tests.view.sample_prompts import CURL, OUT, connection_of, prompt_of
from tinysnitch.core.model.domain import format_label
from tinysnitch.core.model.process import Process
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Lifetime
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.view.escape import cell_width
from tinysnitch.view.key_guard import DELAY_S
from tinysnitch.view.prompt_events import (
    AnswerRefused,
    Answers,
    KeyPressed,
    ListSized,
    QuestionClosed,
    QuestionOpened,
    RowPointed,
    ScreenRegained,
)
from tinysnitch.view.prompt_state import ALL_LEFT_OUT, PICK_FIRST, SCROLL_FIRST, Page
from tinysnitch.view.prompt_view import PromptView, present_prompt
from tinysnitch.view.span import Weight, text_of

LONG = f"{'very-long-label-' * 3}.{'another-' * 6}x.evil-exfiltration-host.shop.test"
NAMES = [f"n{number}.page{number % 3}.test" for number in range(39)] + ["shop.test.evil.example"]


class Listing:
    """A person at a list: presses keys, each of them once keys count, and notes what was on the screen."""

    def __init__(self, prompts: list[Prompt], columns: int = 37, rows: int = 5) -> None:
        self.now = 0.0
        self.state = PaintedState()
        self.painted: list[str] = []
        self.handle(ListSized(columns, rows))
        for prompt in prompts:
            self.handle(QuestionOpened(prompt))
        self.press("g")

    def handle(self, event: object) -> list[tuple[int, Verdict]]:
        effect = self.state.handle(event, self.now)  # type: ignore[arg-type]
        group = self.view.group
        self.painted += [text_of(row.spans) for row in group.rows] if group else []
        return [(one.prompt_id, one.choice.verdict) for one in effect.answers] if isinstance(effect, Answers) else []

    def press(self, *names: str) -> list[tuple[int, Verdict]]:
        given = []
        for name in names:
            self.now += 1.0
            given += self.handle(KeyPressed(name))
        return given

    @property
    def view(self) -> PromptView:
        return present_prompt(self.state, self.now)

    @property
    def rows(self) -> list[str]:
        assert self.view.group
        return [text_of(row.spans) for row in self.view.group.rows]

    @property
    def cursor(self) -> int | None:
        assert self.state.group
        return self.state.group.cursor


def prompts_of(*names: str, **changes: object) -> list[Prompt]:
    process: Process = msgspec.structs.replace(CURL, **changes)
    return [prompt_of(number, connection_of(process, name=name)) for number, name in enumerate(names)]


def test_forty_questions_of_which_three_are_left_out_one_is_denied_and_the_rest_allowed() -> None:
    person = Listing(prompts_of(*NAMES))
    order = person.state.group.ids if person.state.group else ()
    left_out, denied = set(), None
    for at in range(40):
        person.press("down")
        if at in (3, 17, 38):
            left_out.add(person.cursor)
            assert person.press(" ") == []
        if at == 30:
            denied = person.cursor
            assert person.press("n") == [(denied, Verdict.DENY)]
            break
    person.press(*["down"] * 7, " ")
    left_out.add(person.cursor)
    given = person.press("y")
    assert (given, person.view.notice) == ([], SCROLL_FIRST)  # the last one has not been in sight yet
    given = person.press("y")
    assert given == [(number, Verdict.ALLOW) for number in order if number not in left_out | {denied}]
    assert (len(left_out), len(given)) == (3, 36)
    assert set(NAMES) <= set(person.painted)
    assert {
        question.prompt.prompt_id for question in person.state.questions.values() if not question.is_sent
    } == left_out
    assert person.state.selected
    assert person.state.group is None


def test_where_all_fit_one_y_is_enough() -> None:
    person = Listing(prompts_of(*NAMES), rows=40)
    assert person.view.group
    assert (person.view.group.unseen_count, person.view.group.place) == (0, "all 40 in sight")
    assert len(person.press("y")) == 40


def test_y_goes_on_page_by_page_until_all_were_seen() -> None:
    person = Listing(prompts_of(*NAMES), rows=10)
    counts = [len(person.press("y")) for _page in range(4)]
    assert counts == [0, 0, 0, 40]
    assert set(NAMES) <= set(person.painted)


def test_who_only_looks_at_the_end_allows_nothing() -> None:
    person = Listing(prompts_of(*NAMES), rows=10)
    person.press("end")
    assert (person.press("y"), person.view.notice) == ([], SCROLL_FIRST)
    assert len(person.rows) == 10


def test_without_a_screen_nothing_is_allowed_but_all_can_be_denied() -> None:
    person = Listing(prompts_of(*NAMES), rows=0)
    assert person.press("y", "y", "y") == []
    assert person.press("n") == [(number, Verdict.DENY) for number in range(40)] or len(person.state.questions) == 40


def test_what_comes_into_sight_takes_no_answer_until_it_was_there_for_the_delay() -> None:
    person = Listing(prompts_of(*NAMES), rows=39)
    person.press("pagedown")
    person.now += DELAY_S - 0.1
    assert person.handle(KeyPressed("y")) == []
    assert len(person.press("y")) == 40


def test_a_held_key_neither_turns_all_pages_nor_answers() -> None:
    person = Listing(prompts_of(*NAMES), rows=10)
    person.now += 1.0
    given = []
    for _repeat in range(100):
        given += person.handle(KeyPressed("y"))
        person.now += 0.05
    assert given == []
    assert person.view.group
    assert person.view.group.unseen_count == 20  # the second page is in sight, and no other was


def test_n_denies_all_until_the_cursor_is_on_one() -> None:
    names = NAMES[:4]
    assert len(Listing(prompts_of(*names)).press("n")) == 4
    assert len(Listing(prompts_of(*names)).press("down", "up", "n")) == 4
    person = Listing(prompts_of(*names))
    assert person.press("down", "down", "n") == [(3, Verdict.DENY)]  # which has the domain of the first
    assert (person.cursor, person.view.group is not None) == (1, True)
    assert person.press("n") == [(1, Verdict.DENY)]
    assert person.press("y") == [(0, Verdict.ALLOW), (2, Verdict.ALLOW)]


def test_with_the_second_but_last_the_list_ends() -> None:
    person = Listing(prompts_of(*NAMES[:2]))
    assert person.press("down", "n") == [(0, Verdict.DENY)]
    assert (person.state.group, person.view.title) == (None, "curl wants to reach n1.page1.test")
    assert person.press("y") == [(1, Verdict.ALLOW)]


def test_space_needs_the_cursor_and_takes_back_what_it_left_out() -> None:
    person = Listing(prompts_of(*NAMES[:3]))
    person.press(" ")
    assert person.view.notice == PICK_FIRST
    person.press("down", " ")
    assert (person.view.notice, person.view.together) == ("", "2 of the 3 questions of curl, with 2 rules")
    person.press("space", "down", "space", "down", "space", "up", "up", "space")
    assert (person.press("y"), person.view.notice) == ([], ALL_LEFT_OUT)
    assert person.press("space", "y") == [(0, Verdict.ALLOW)]


def test_a_blank_is_a_key_in_the_list_alone() -> None:
    """Elsewhere it belongs to a text."""
    person = Listing(prompts_of(*NAMES[:3]))
    person.press("down", " ")
    assert person.state.group
    assert person.state.group.left_out == {0}
    person.press("g")
    assert person.state.group is None
    person.press(" ")
    person.now += DELAY_S
    assert person.handle(KeyPressed("y")) == []


@pytest.mark.parametrize("key", ["g", "escape"])
def test_the_list_is_closed_again(key: str) -> None:
    person = Listing(prompts_of(*NAMES))
    person.press(key)
    assert person.press("y") == [(0, Verdict.ALLOW)]


def test_the_choice_stays_when_the_question_that_had_it_goes() -> None:
    person = Listing(prompts_of(*NAMES[:3]))
    person.press("f", "d", "p")
    person.handle(QuestionClosed(0, "the program gave up"))
    assert text_of(person.view.rule) == "allow *.page1.test - tcp /usr/bin/curl -s https://shop.test/"
    person.press("y")
    sent = [question for question in person.state.questions.values() if question.is_sent]
    assert {(one.choice.lifetime, one.choice.any_port) for one in sent} == {(Lifetime.FOREVER, True)}


def test_one_that_goes_under_the_cursor_makes_the_next_key_wait() -> None:
    person = Listing(prompts_of(*NAMES[:4]))
    person.press("down", "down")
    assert person.cursor == 3
    person.handle(QuestionClosed(3, "the program gave up"))
    person.now += DELAY_S - 0.1
    assert (person.cursor, person.handle(KeyPressed("n"))) == (1, [])


def test_later_questions_are_counted_and_do_not_join() -> None:
    person = Listing(prompts_of(*NAMES[:4]))
    assert person.view.waiting == ""
    person.handle(QuestionOpened(prompt_of(50, connection_of(name="late.test"))))
    assert person.view.waiting == "1 more waits"
    person.handle(QuestionOpened(prompt_of(51, connection_of(name="later.test"))))
    assert (person.view.waiting, len(person.press("y"))) == ("2 more wait", 4)


def test_the_time_is_that_of_the_question_that_ends_first() -> None:
    first = prompt_of(1, connection_of(name="b.test"), remaining_s=50.0)
    person = Listing([prompt_of(0, connection_of(name="a.test"), remaining_s=60.0), first])
    assert person.view.seconds_left == 49


def test_a_denial_that_is_refused_comes_back_by_itself() -> None:
    person = Listing(prompts_of(*NAMES[:4]))
    person.press("down", "n")
    person.handle(AnswerRefused(0, "not permitted"))
    assert (person.view.notice, person.view.waiting) == ("not permitted", "1 more waits")


def test_it_stays_as_it_is_while_something_else_has_the_screen() -> None:
    person = Listing(prompts_of(*NAMES))
    person.press("down", " ", "h")
    assert person.state.page is Page.LIST_HELP
    person.press("x")
    person.handle(ScreenRegained())
    assert (person.cursor, person.state.group.left_out if person.state.group else None) == (0, {0})


def test_what_stands_behind_the_help_was_not_seen() -> None:
    person = Listing(prompts_of(*NAMES[:7]), rows=5)
    person.press("h")
    for number in (0, 3):
        person.handle(QuestionClosed(number, "the program gave up"))
    person.now += 1.0
    assert person.state.group
    assert (len(person.state.group.in_sight), len(person.state.group.unseen)) == (5, 2)


def test_a_click_moves_the_cursor_and_another_leaves_out() -> None:
    person = Listing(prompts_of(*NAMES[:4]))
    person.now += 1.0
    person.handle(RowPointed(3))
    assert person.cursor == 3
    person.handle(RowPointed(3))
    assert person.press("y") == [(0, Verdict.ALLOW), (1, Verdict.ALLOW), (2, Verdict.ALLOW)]
    person.handle(RowPointed(99))  # a row of a list that is gone


# what is listed


def test_names_of_one_domain_stand_together() -> None:
    person = Listing(prompts_of("a.shop.test", "b.other.test", "c.shop.test", "shop.test.evil.example", "other.test"))
    assert person.rows == ["a.shop.test", "c.shop.test", "b.other.test", "other.test", "shop.test.evil.example"]


def test_only_what_differs_is_shown_behind_the_name_and_arguments_at_last() -> None:
    other_port = msgspec.structs.replace(OUT, remote_port=22)
    prompts = [*prompts_of("a.test"), prompt_of(1, connection_of(flow=other_port, name="bb.test"))]
    assert Listing(prompts, columns=60).rows == ["a.test   443 https, tcp", "bb.test  22 ssh, tcp"]
    prompts.append(prompt_of(2, connection_of(msgspec.structs.replace(CURL, args=("-v",)), name="c.test")))
    assert Listing(prompts, columns=60, rows=9).rows == [
        "a.test   443 https, tcp  -s https://shop.test/",
        "bb.test  22 ssh, tcp  -s https://shop.test/",
        "c.test   443 https, tcp  -v",
    ]
    labels = [line.label for line in Listing(prompts).view.lines]
    assert [label for label in ("arguments", "port", "name", "address") if label in labels] == []
    assert "path" in labels


def test_without_room_for_all_in_one_row_each_has_rows_of_its_own() -> None:
    prompts = [*prompts_of("a.test"), prompt_of(1, connection_of(msgspec.structs.replace(CURL, args=("-v",) * 99)))]
    rows = Listing(prompts, columns=30, rows=99).rows
    assert rows[:3] == ["a.test", "  -s https://shop.test/", "shop.test"]
    assert (len(rows) <= 7, all(row.startswith("  ") for row in rows[3:]), "…" in "".join(rows)) == (True, True, True)


def test_a_long_name_is_shown_whole_in_further_rows() -> None:
    rows = Listing(prompts_of("a.test", LONG), columns=20, rows=99).rows
    assert "".join(row.removeprefix("  ") for row in rows[1:]) == LONG
    assert max(map(len, rows)) <= 20
    assert all(row.startswith("  ") for row in rows[2:])


def test_the_registered_domain_is_strong_also_where_it_is_broken() -> None:
    person = Listing(prompts_of("a.test", LONG), columns=20, rows=99)
    assert person.view.group
    spans = [span for row in person.view.group.rows[1:] for span in row.spans if span.weight is Weight.STRONG]
    assert "".join(span.text for span in spans) == "shop.test"
    assert all(span.is_covered for span in spans)


def test_what_is_left_out_is_quiet_and_marked() -> None:
    person = Listing(prompts_of("a.shop.test", "b.test"))
    person.press("down", " ")
    assert person.view.group
    row = person.view.group.rows[0]
    assert (row.is_left_out, row.is_cursor, {span.weight for span in row.spans}) == (True, True, {Weight.QUIET})
    assert person.view.group.place == "all 2 in sight, 1 left out"


def test_a_warning_of_one_stands_behind_its_name_and_one_of_all_above() -> None:
    odd = msgspec.structs.replace(CURL, warnings=("runs from /tmp",))
    both = msgspec.structs.replace(CURL, warnings=("runs from /tmp", "deleted file\x1b"))
    prompts = [prompt_of(0, connection_of(odd, name="a.test")), prompt_of(1, connection_of(both, name="b.test"))]
    person = Listing(prompts, columns=60)
    assert person.rows == ["a.test", "b.test  ! deleted file\\x1b"]
    assert person.view.warnings == ("runs from /tmp",)


def test_the_keys_say_how_many_they_are_for() -> None:
    person = Listing(prompts_of(*NAMES))
    shown = [hint.text for row in person.view.everyday[:2] for hint in row]
    assert shown == ["next page, then allow all 40, for 9 minutes", "deny all 40, for 9 minutes"]
    person.press("end")
    person.press("y")
    person.press("down", " ")
    shown = [hint.text for row in person.view.everyday for hint in row]
    assert shown[:4] == [
        "next page, then allow these 39, for 9 minutes",
        "deny this one, for 9 minutes",
        "one by one",
        "take back",
    ]


@given(st.lists(SOME_TEXT, min_size=2, max_size=4), st.integers(1, 40))
def test_no_hostile_name_breaks_a_row_or_is_cut(names: list[str], columns: int) -> None:
    names = [
        ".".join(map(format_label, filter(None, name.encode(errors="surrogatepass").split(b".")))) for name in names
    ]
    odd = prompt_of(9, connection_of(msgspec.structs.replace(CURL, args=tuple(names)), name="a.test"))
    rows = Listing([*prompts_of(*names), odd], columns=columns, rows=10_000).rows
    assert all(row.isprintable() for row in rows)
    assert all(cell_width(row) <= columns or len(row) <= 3 for row in rows)
    shown = "".join(row.removeprefix("  ") for row in rows)
    assert [name for name in names if name not in shown] == []
