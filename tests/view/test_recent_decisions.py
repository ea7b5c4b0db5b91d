import msgspec
import pytest

from tests.core.prompts.catalogued import CATALOGUE
from tests.view.painted_state import PaintedState
from tests.view.sample_decisions import line_of
from tests.view.sample_prompts import CURL, IN, OUT, connection_of, prompt_of
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import ICMP
from tinysnitch.core.model.process import UNKNOWN, Process
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.protocol.log_lines import ConnectionLine
from tinysnitch.view.line_edit import LineEdit
from tinysnitch.view.lookup import NO_LOOKUP
from tinysnitch.view.prompt_events import DecisionsTold, KeyPressed, QuestionOpened, RuleChange, UndoLast
from tinysnitch.view.prompt_state import Page, PromptState
from tinysnitch.view.prompt_view import present_prompt
from tinysnitch.view.recent_decisions import MAX_KEPT, RecentDecisions
from tinysnitch.view.recent_view import present_recent
from tinysnitch.view.span import text_of

NAMED = [line_of(connection_of(name=f"n{number}.test")) for number in range(4)]
ALLOW, DENY = Verdict.ALLOW, Verdict.DENY


def after(*lines: ConnectionLine, keys: tuple[str, ...] = ("down",)) -> RecentDecisions:
    recent = RecentDecisions()
    recent.catalogue = CATALOGUE
    recent.add(lines)
    for key in keys:
        recent.move(key)
    return recent


def names_of(recent: RecentDecisions) -> list[str | None]:
    return [row.line.name for row in recent.rows]


def selected_in(recent: RecentDecisions) -> str | None:
    return recent.selected.line.name if recent.selected else None


def run_by(path: str, *args: str) -> Process:
    return msgspec.structs.replace(CURL, program=path, executable=path, args=args)


def test_the_newest_stands_first_and_equal_decisions_are_one_row() -> None:
    recent = after(*NAMED, NAMED[1], line_of(connection_of(name="n1.test"), ALLOW))
    assert [(row.line.name, row.line.verdict, row.count) for row in recent.rows] == [
        ("n1.test", ALLOW, 1),
        ("n1.test", DENY, 2),
        ("n3.test", DENY, 1),
        ("n2.test", DENY, 1),
        ("n0.test", DENY, 1),
    ]


def test_only_the_last_ones_are_kept() -> None:
    recent = after(*(line_of(connection_of(name=f"n{number}.test")) for number in range(MAX_KEPT + 3)))
    assert (len(recent.rows), names_of(recent)[-1]) == (MAX_KEPT, "n3.test")


@pytest.mark.parametrize(
    ("keys", "selected"),
    [
        ((), None),
        (("down",), "n3.test"),
        (("up",), "n3.test"),
        (("down", "down"), "n2.test"),
        (("down", "down", "up", "up"), "n3.test"),
        (("down", "pagedown"), "n0.test"),
        (("down", "end"), "n0.test"),
        (("down", "end", "home"), "n3.test"),
        (("down", "wheel down"), "n2.test"),
        (("row 2",), "n1.test"),
        (("down", "row 9"), "n3.test"),
        (("down", "y"), "n3.test"),
    ],
)
def test_keys_select_a_row_and_before_that_none_is(keys: tuple[str, ...], selected: str | None) -> None:
    assert selected_in(after(*NAMED, keys=keys)) == selected


def test_what_is_selected_stays_so_wherever_newer_ones_move_it() -> None:
    recent = after(*NAMED, keys=("down", "down"))
    recent.add((line_of(connection_of(name="new.test")), NAMED[0]))
    assert (selected_in(recent), recent.position) == ("n2.test", 3)
    recent.add(tuple(line_of(connection_of(name=f"m{number}.test")) for number in range(MAX_KEPT)))
    assert (recent.selected, recent.position) == (None, None)


def test_nothing_is_selected_where_there_is_no_row_or_the_person_left() -> None:
    assert RecentDecisions().move("down") is False
    recent = after(*NAMED)
    recent.leave()
    assert (recent.selected, recent.change_by(ALLOW), recent.take_back(), recent.begin_edit().text) == (
        None,
        None,
        None,
        "",
    )


@pytest.mark.parametrize(
    ("connection", "rule"),
    [
        (connection_of(), "deny shop.test 443 tcp /usr/bin/curl"),
        (connection_of(name=None), "deny 10.0.0.9 443 tcp /usr/bin/curl"),
        (connection_of(flow=IN, name=None), "deny 10.0.0.5 22 tcp-src /usr/bin/curl"),
        (connection_of(flow=msgspec.structs.replace(OUT, protocol=ICMP)), "deny shop.test - icmp /usr/bin/curl"),
        (connection_of(flow=msgspec.structs.replace(OUT, protocol=47)), "deny shop.test - 47 /usr/bin/curl"),
        (Connection(flow=IN, attribution=UNKNOWN), "deny 10.0.0.5 22 tcp-src unknown"),
        (
            connection_of(run_by("/usr/bin/python3.13", "-c", "x = 1")),
            "deny shop.test 443 tcp /usr/bin/python3.13 -c 'x = 1'",
        ),
        (connection_of(run_by("/usr/bin/busybox", "wget", "-q")), "deny shop.test 443 tcp /usr/bin/busybox wget -q"),
        (connection_of(run_by("/home/a/own", "-c", "import os")), "deny shop.test 443 tcp /home/a/own -c 'import os'"),
    ],
)
def test_a_rule_has_the_shape_that_a_question_proposes(connection: Connection, rule: str) -> None:
    recent = after(line_of(connection, ALLOW))
    assert recent.propose(DENY) == rule
    assert recent.change_by(DENY) == RuleChange(rule)


def test_who_answers_for_their_own_processes_makes_rules_for_themselves() -> None:
    recent = after(line_of(connection_of()))
    recent.is_for_user = True
    line = "allow user=1000 shop.test 443 tcp /usr/bin/curl"
    assert recent.change_by(ALLOW) == RuleChange(line)
    assert recent.begin_edit() == LineEdit(line.replace("allow", "deny"), len(line) - 1, 1000)


def test_no_key_makes_a_rule_of_a_secret() -> None:
    recent = after(line_of(connection_of(run_by("/usr/bin/python3.13", "-c", "x()", "--password=hunter2hunter2"))))
    assert (recent.propose(ALLOW), recent.change_by(ALLOW)) == (None, None)
    assert "secret" in recent.find_hindrance(ALLOW)


@pytest.mark.parametrize(
    ("rule", "hindered"),
    [
        (None, []),
        ("ask - - - /usr/bin/curl", []),
        ("deny shop.test 443 tcp /usr/bin/curl", [ALLOW, DENY]),  # deny would win against an equal allow
        ("deny *.shop.test 443 tcp /usr/bin/curl", [DENY]),  # the new one is narrower
        ("deny @ads - -", [DENY]),
        ("deny shop.test 443 tcp /usr/bin/curl -s https://shop.test/", [ALLOW, DENY]),
        ("allow shop.test 443 tcp /usr/bin/curl", [ALLOW]),
        ("allow shop.test 443 tcp /usr/bin/curl -s https://shop.test/", [ALLOW, DENY]),
        ("allow - - - /usr/bin/curl", [ALLOW]),
    ],
)
def test_a_key_does_nothing_where_its_rule_would_change_nothing(rule: str | None, hindered: list[Verdict]) -> None:
    verdict = DENY if rule is None or rule.startswith("deny") else ALLOW
    recent = after(line_of(connection_of(), verdict, rule))
    assert [one for one in (ALLOW, DENY) if recent.find_hindrance(one)] == hindered
    assert [one for one in (ALLOW, DENY) if recent.change_by(one) is None] == hindered


def test_the_rule_that_decided_is_taken_back_as_it_is_written() -> None:
    rule = "deny until=2033-01-01T00:00:00Z *.shop.test - -"
    assert after(line_of(connection_of(), DENY, rule)).take_back() == RuleChange(rule, is_added=False)
    assert after(line_of()).take_back() is None


def test_a_line_of_another_version_is_shown_and_makes_no_rule() -> None:
    odd = msgspec.structs.replace(line_of(), protocol="quic", rule="permit everything")
    recent = after(odd)
    assert (len(recent.rows), recent.change_by(ALLOW)) == (1, None)
    assert recent.take_back() == RuleChange("permit everything", is_added=False)  # the daemon says what is wrong


def prompt_with_past(*keys: str, now: float = 5.0) -> PromptState:
    state = PaintedState()
    state.is_connected, state.recent.catalogue = True, CATALOGUE
    state.handle(DecisionsTold(tuple(NAMED)), 0.0)
    for key in keys:
        state.handle(KeyPressed(key), now)
    return state


def press(state: PromptState, name: str, now: float) -> object:
    return state.handle(KeyPressed(name), now)


def test_keys_make_a_rule_once_the_first_row_was_in_sight_for_a_while() -> None:
    state = prompt_with_past("down")
    assert press(state, "y", 5.1) is None
    assert press(state, "y", 9.0) == RuleChange("allow n3.test 443 tcp /usr/bin/curl")
    press(state, "down", 12.0)
    assert press(state, "N", 12.1) == RuleChange("deny n2.test 443 tcp /usr/bin/curl")
    assert press(state, "delete", 15.0) is None, "no rule decided it"


def test_without_a_selected_row_no_key_makes_a_rule() -> None:
    for keys in ((), ("down", "escape")):
        state = prompt_with_past(*keys)
        assert [press(state, key, 20.0 + number) for number, key in enumerate("ynYNx")] == [None] * 5


def test_z_takes_the_last_change_back_with_or_without_a_selected_row() -> None:
    state = prompt_with_past()
    assert press(state, "z", 9.0) == UndoLast()
    assert press(state, "z", 9.1) is None, "the key is still held"
    assert press(state, "z", 12.0) == UndoLast()
    state = prompt_with_past("down")
    assert press(state, "z", 5.1) is None, "the rows have not been in sight for long enough"
    assert press(state, "z", 9.0) == UndoLast()


def test_a_z_in_a_text_takes_nothing_back() -> None:
    state = prompt_with_past()
    assert [press(state, key, 9.0 + number / 10) for number, key in enumerate("ibz")] == [None] * 3


def test_a_question_takes_over_and_its_keys_are_for_itself() -> None:
    state = prompt_with_past("down")
    state.handle(QuestionOpened(prompt_of(1)), 9.0)
    assert (state.recent.selected, press(state, "y", 9.1)) == (None, None)
    state = prompt_with_past("down", "h")
    assert (state.page, press(state, "q", 12.0)) == (Page.HELP, None)


def test_a_rule_is_edited_and_added_for_a_decision() -> None:
    state = prompt_with_past("down")
    press(state, "e", 9.0)
    view = present_prompt(state, 9.0)
    assert (view.title, state.is_edit_lost) == ("a rule for what was decided", False)
    for key in ("home", "delete", "x"):
        press(state, key, 10.0)
    assert press(state, "enter", 11.0) is None, "xeny is no verdict"
    press(state, "backspace", 12.0)
    press(state, "d", 12.0)
    assert press(state, "enter", 13.0) == RuleChange("deny n3.test 443 tcp /usr/bin/curl")
    assert state.page is Page.QUESTION


def test_an_edited_rule_for_a_decision_outlives_the_question_that_comes() -> None:
    state = prompt_with_past("down")
    press(state, "e", 9.0)
    state.handle(QuestionOpened(prompt_of(1)), 9.5)
    view = present_prompt(state, 9.6)
    assert (view.edit is not None, "wait" in view.title) == (True, True)
    assert press(state, "enter", 11.0) == RuleChange("deny n3.test 443 tcp /usr/bin/curl")
    assert (state.selected is not None, press(state, "y", 11.1)) == (True, None), "the question counts as new"


def test_hostile_text_of_a_decision_is_escaped_and_its_secret_shortened() -> None:
    rule = "allow - - - /usr/bin/curl --token 0mWk3Zq8TxLr5Vb1Nc7H"
    odd = msgspec.structs.replace(line_of(), program="/tmp/a\x1b[2J", name="b\u202e.test", rule=rule)
    shown = present_recent(after(odd), NO_LOOKUP)
    (row,) = shown.rows
    texts = [row.program, text_of(row.remote), row.why, shown.selected.decided_by if shown.selected else ""]
    assert [text for text in texts if not text.isprintable() or "0mWk3Zq8TxLr5Vb1Nc7H" in text] == []
    assert (row.port, row.time, row.is_inbound, row.count) == ("443 tcp", "22:13:20", False, 1)
