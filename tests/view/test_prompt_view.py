from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.engine.transcript import inbound
from tests.core.model.any_text import SOME_TEXT
from tests.core.prompts.test_catalogue import KERNEL_ARGS, worker
from tests.view.painted_state import PaintedState
from tests.view.sample_prompts import CURL, IN, OUT, connection_of, learned_prompt_of, prompt_of
from tinysnitch.core.model.asking_mode import ASKING, OBSERVING, AskingMode
from tinysnitch.core.model.connection import Asking, Connection
from tinysnitch.core.model.flow import ICMP, UDP
from tinysnitch.core.model.process import UNKNOWN
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.answer import rule_for_choice
from tinysnitch.core.prompts.choice import Choice, Lifetime, RemoteScope
from tinysnitch.core.rules.rule_line import format_rule, parse_rule
from tinysnitch.view.answer_notice import ASKING_AGAIN
from tinysnitch.view.keys import KEYS
from tinysnitch.view.prompt_events import (
    Answers,
    ConnectionLost,
    DaemonGreeted,
    KeyPressed,
    ModeTold,
    NoticeGiven,
    QuestionClosed,
    QuestionOpened,
)
from tinysnitch.view.prompt_state import PromptState
from tinysnitch.view.prompt_view import (
    SECRET_IN_RULE,
    SECRET_LEFT_OUT,
    PromptView,
    present_lifetime,
    present_prompt,
    present_rule,
)
from tinysnitch.view.span import text_of

OPENED_S = 1_700_000_000.0
CHOICE = Choice(verdict=Verdict.ALLOW, lifetime=Lifetime.FOREVER)
PLAIN = Choice(verdict=Verdict.ALLOW)


def shown(state: PromptState, at_s: float = 10.0) -> PromptView:
    return present_prompt(state, at_s)


def opened(*connections: Connection, is_for_user: bool = False, proposal: Choice | None = None) -> PromptState:
    state = PaintedState()
    state.handle(DaemonGreeted(is_for_user), 0.0)
    for number, connection in enumerate(connections, 1):
        state.handle(QuestionOpened(prompt_of(number, connection, proposal=proposal)), 0.0)
    return state


@pytest.mark.parametrize(
    ("keys", "line", "covered"),
    [
        (
            "f",
            "allow shop.test 443 tcp /usr/bin/curl -s https://shop.test/",
            ["shop.test", "443", "tcp", "/usr/bin/curl", "-s", "https://shop.test/"],
        ),
        ("fj", "allow shop.test 443 tcp /usr/bin/curl", ["shop.test", "443", "tcp", "/usr/bin/curl"]),
        ("fjpdd", "allow - - tcp /usr/bin/curl", ["tcp", "/usr/bin/curl"]),
        (
            "j9",
            "allow shop.test 443 tcp /usr/bin/curl, for 9 minutes",
            ["shop.test", "443", "tcp", "/usr/bin/curl"],
        ),
        ("jpdd", "allow - - tcp /usr/bin/curl, for 9 minutes", ["tcp", "/usr/bin/curl"]),
    ],
)
def test_the_rule_line_changes_with_every_toggle(keys: str, line: str, covered: list[str]) -> None:
    state = opened(connection_of())
    for key in keys:
        state.handle(KeyPressed(key), 10.0)
    rule = shown(state).rule
    assert text_of(rule) == line
    assert [span.text for span in rule if span.is_covered] == covered


def test_the_rule_of_who_answers_for_their_own_processes_names_them() -> None:
    state = opened(connection_of(), is_for_user=True)
    state.handle(KeyPressed("j"), 10.0)
    rule = shown(state).rule
    assert text_of(rule) == "allow user=1000 shop.test 443 tcp /usr/bin/curl, for 9 minutes"
    assert [span.text for span in rule if span.is_covered][:2] == ["user=1000", "shop.test"]
    state.handle(DaemonGreeted(), 11.0)
    state.handle(QuestionOpened(prompt_of(2, connection_of(name="b.test"))), 11.0)
    state.handle(KeyPressed("tab"), 12.0)
    assert "user=" not in text_of(shown(state, 13.0).rule)


def test_the_rule_rests_on_what_it_is_asked_for() -> None:
    asking = Asking(parent="/usr/bin/bash", iface="wg0", is_by_address=True)
    view = shown(opened(msgspec.structs.replace(connection_of(), asking=asking)))
    covered = [span.text for span in view.rule if span.is_covered]
    assert covered[:3] == ["parent=/usr/bin/bash", "iface=wg0", "10.0.0.9"]
    assert "this address" in {hint.text for row in view.hints for hint in row if hint.is_on}


@pytest.mark.parametrize(
    ("name", "scopes"),
    [
        (None, ["this address", "this address (no domain)", "any remote"]),
        ("printer", ["this name", "this name (no domain)", "any remote"]),
        ("www.shop.test", ["this name", "its domain", "any remote"]),
    ],
)
def test_the_key_for_the_domain_says_so_where_there_is_none(name: str | None, scopes: list[str]) -> None:
    state = opened(connection_of(name=name))
    seen = []
    for _ in scopes:
        seen += [hint.text for row in shown(state).hints for hint in row if hint.label == "d"]
        state.handle(KeyPressed("d"), 10.0)
    assert seen == scopes


def test_a_question_of_the_link_begins_with_a_rule_for_all_of_it() -> None:
    asked = msgspec.structs.replace(
        connection_of(flow=inbound(5353, 5353, protocol=UDP), name=None), is_lan_traffic=True
    )
    view = shown(opened(asked, proposal=msgspec.structs.replace(PLAIN, remote=RemoteScope.DOMAIN)))
    assert "lan 5353 udp-src /usr/bin/curl" in text_of(view.rule)
    assert "all of the lan" in {hint.text for row in view.hints for hint in row if hint.is_on}


def test_quoted_arguments_stay_one_covered_piece() -> None:
    connection = connection_of(msgspec.structs.replace(CURL, args=("-", "a  b", "-")))
    rule = present_rule(connection, CHOICE, OPENED_S)
    assert [span.text for span in rule if span.is_covered][-3:] == ["-", "'a  b'", "-"]


def test_time_goes_on_in_a_suspend() -> None:
    """By the daemon's clock, while ours stands still; questions that open afterwards have their whole time."""
    state = opened()
    note = partial(state.note_clocks, 0.0, wall_s=state.wall_ahead_s)
    for ahead_s in (7000.0, 7000.9):  # the second difference is no suspend: we got no processor between two clocks
        note(boot_s=ahead_s)
    state.handle(QuestionOpened(prompt_of()), 0.0)
    note(boot_s=7030.0)
    assert (shown(state, 15.0).seconds_left, shown(state, 15.0).fraction_left) == (15, 0.25)
    note(boot_s=7130.0)
    assert shown(state, 15.0).seconds_left == 0
    state.handle(QuestionClosed(1, "no answer"), 15.0)
    state.handle(QuestionOpened(prompt_of(2)), 15.0)
    assert shown(state, 16.0).seconds_left == 59


def test_time_left_is_told_as_number_and_part_of_the_whole() -> None:
    view = shown(opened(connection_of()), at_s=15.0)
    assert (view.seconds_left, view.fraction_left) == (45, 0.75)
    late = shown(opened(connection_of()), at_s=99.0)
    assert (late.seconds_left, late.fraction_left) == (0, 0.0)
    state = opened()
    state.handle(QuestionOpened(prompt_of()), 100.0)
    assert (shown(state, 115.0).seconds_left, shown(state, 115.0).fraction_left) == (45, 0.75)
    state = opened()  # by a prompt that attached after half of the question's time
    state.handle(QuestionOpened(msgspec.structs.replace(prompt_of(remaining_s=30.0), age_s=30.0)), 100.0)
    assert (shown(state, 115.0).seconds_left, shown(state, 115.0).fraction_left) == (15, 0.25)


def test_a_question_is_shown_with_its_connection() -> None:
    view = shown(opened(connection_of()))
    assert (view.title, view.together, view.group) == ("curl wants to reach shop.test", "", None)
    assert view.is_question
    assert view.lines


@pytest.mark.parametrize(("count", "told"), [(1, "denied"), (2, "2 denied, the last"), (13, "13 denied, the last")])
def test_who_comes_back_is_told_how_many_questions_nobody_answered(count: int, told: str) -> None:
    """The notice counts all of them: the last program is not the only one that was refused."""
    state = opened(*[connection_of()] * count)
    for number in range(1, count + 1):
        state.handle(QuestionClosed(number, "no answer within 60 s"), 60.0)
    assert shown(state).notice == f"no answer within 60 s, {told}: curl wants to reach shop.test"
    assert state.notice == "no answer within 60 s, denied: curl wants to reach shop.test"  # in lines each has one


def test_what_nobody_answered_before_something_else_was_told_is_counted_no_more() -> None:
    state = opened(*[connection_of()] * 3)
    for number, reason in ((1, "no answer within 60 s"), (2, "the program gave up"), (3, "no answer within 60 s")):
        state.handle(QuestionClosed(number, reason), 60.0)
    assert shown(state).notice == "no answer within 60 s, denied: curl wants to reach shop.test"


def test_the_view_says_how_many_wait_and_whether_keys_count() -> None:
    state = opened(connection_of(), connection_of(name="b.test"))
    state.handle(QuestionOpened(msgspec.structs.replace(prompt_of(1), count=3)), 0.0)
    assert shown(state, 0.4).is_ready is False
    view = shown(state, 0.5)
    assert (view.waiting, view.is_ready) == ("question 1 of 2, 3 connections in this one", True)
    assert shown(opened(connection_of())).waiting == "one question"
    state.handle(KeyPressed("y"), 10.0)
    assert shown(state).waiting == "one question"  # the answer to the other one is not confirmed yet


def test_the_footer_shows_every_key_and_what_is_chosen() -> None:
    state = opened(connection_of(), connection_of(name="b.test"))
    for key in "fdj":
        state.handle(KeyPressed(key), 10.0)
    hints = [hint for row in shown(state).hints for hint in row]
    assert [hint.label for hint in hints] == [key.label for key in KEYS]
    assert {hint.text for hint in hints if hint.is_on} == {"forever", "its domain", "this port", "just the path"}


def test_of_a_worker_the_line_and_the_footer_begin_with_who_started_it() -> None:
    proposal = msgspec.structs.replace(PLAIN, any_args=True)
    state = opened(connection_of(worker(*KERNEL_ARGS)), proposal=proposal)
    state.handle(KeyPressed("f"), 10.0)
    began = shown(state)
    assert text_of(began.rule) == "allow parent=/srv/report.py shop.test 443 tcp /usr/bin/python3.13"
    assert "any args" in {hint.text for row in began.hints for hint in row if hint.is_on}
    state.handle(KeyPressed("a"), 10.0)
    assert "parent=" not in text_of(shown(state).rule)
    state.handle(KeyPressed("j"), 10.0)
    assert text_of(shown(state).rule) == text_of(began.rule)


PING = msgspec.structs.replace(OUT, protocol=ICMP, local_port=0, remote_port=0)


@pytest.mark.parametrize(
    ("connection", "dead"),
    [
        (connection_of(), ""),
        (connection_of(flow=PING), "p"),
        (connection_of(msgspec.structs.replace(CURL, are_args_complete=False)), "aj"),
        (Connection(flow=IN, attribution=UNKNOWN), "aj"),
    ],
)
def test_keys_that_change_nothing_are_dead(connection: Connection, dead: str) -> None:
    hints = [hint for row in shown(opened(connection)).hints for hint in row]
    assert {hint.label for hint in hints if hint.is_dead} == {"g", "w", "Tab", "S-Tab", *dead}
    two = [hint for row in shown(opened(connection, connection)).hints for hint in row]
    assert {hint.label for hint in two if hint.is_dead} - {"g", "w"} == set(dead)


def test_enter_is_dead_while_the_edited_line_has_a_fault() -> None:
    state = opened(connection_of())
    dead = []
    for key in ("e", "home", "x", "backspace"):
        state.handle(KeyPressed(key), 10.0)
        dead.append(shown(state).hints[0][0].is_dead)
    assert dead == [False, False, True, False]


def test_a_guest_is_not_offered_to_leave_and_says_when_its_answers_end() -> None:
    state = PaintedState(is_guest=True)
    state.handle(QuestionOpened(prompt_of()), 0.0)
    assert "q" not in [hint.label for row in shown(state).hints for hint in row]
    assert shown(state).lifetime == "for 9 minutes, while this command runs"
    state.handle(KeyPressed("e"), 10.0)
    assert shown(state).lifetime == "until the time in the line, while this command runs"


@pytest.mark.parametrize(
    ("lifetime", "words"),
    [
        (Lifetime.ONCE, "this once, nothing is written"),
        (Lifetime.NINE_MINUTES, "for 9 minutes"),
        (Lifetime.QUIT, "until curl quits"),
        (Lifetime.FOREVER, "forever, in the rules file"),
    ],
)
def test_lifetime_in_words(lifetime: Lifetime, words: str) -> None:
    assert present_lifetime(connection_of(), Choice(verdict=Verdict.ALLOW, lifetime=lifetime)) == words


def test_lifetimes_that_cannot_hold_say_so() -> None:
    foreign = connection_of(msgspec.structs.replace(CURL, is_host_file=False))
    assert present_lifetime(foreign, CHOICE) == "this once, whatever you choose"
    warning = shown(opened(foreign)).warnings[-1]
    assert warning == "no answer lasts: not the file at its path (start it anew, or edit: parent=)"
    assert len(f"! {warning}") <= 78  # whole in a terminal of 80 columns
    assert "until=" not in "".join(span.text for span in shown(opened(foreign)).rule)
    assert [shown(opened(one)).is_rule_kept for one in (foreign, connection_of())] == [False, True]
    quits = Choice(verdict=Verdict.ALLOW, lifetime=Lifetime.QUIT)
    assert present_lifetime(Connection(flow=IN, attribution=UNKNOWN), quits) == "for 9 minutes"


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ("0123456789ab", "in the rules file, for this container alone: the next has another id"),
        ("user@1000.service/0123456789ab", "in the rules file, for this container alone: the next has another id"),
        ("dmtliofqsmjc9v0v6rfg1ejaa", "in the rules file, for this container alone: the next has another id"),
        ("web", "forever, in the rules file"),
    ],
)
def test_what_is_for_a_container_without_a_name_says_so(container: str, words: str) -> None:
    process = msgspec.structs.replace(CURL, is_host_file=False, owners=(f"container:{container}",))
    assert present_lifetime(connection_of(process), CHOICE) == words


def test_the_rule_that_asks_is_named() -> None:
    rule = parse_rule("ask - - - /usr/bin/curl")
    prompt = msgspec.structs.replace(prompt_of(), reason="asked by a rule", rule=rule)
    state = PaintedState()
    state.handle(QuestionOpened(prompt), 0.0)
    assert shown(state).why == "asked because of the rule ask - - - /usr/bin/curl"


def test_why_it_is_asked_is_escaped() -> None:
    state = PaintedState()
    state.handle(QuestionOpened(msgspec.structs.replace(prompt_of(), reason="no \x1b[2Jrule")), 0.0)
    assert shown(state).why == r"asked because no \x1b[2Jrule"


def test_without_a_question_the_view_waits() -> None:
    state = PaintedState()
    assert shown(state).title == "waiting for the daemon"
    state.handle(DaemonGreeted(), 0.0)
    assert shown(state).title == "no questions"
    assert [hint.label for hint in shown(state).hints[0]] == ["z", "h", "l", "q"]
    state.handle(ConnectionLost("the daemon\x1b is gone"), 0.0)
    assert not shown(state).is_question
    assert shown(state).notice == "the daemon\\x1b is gone; new connections may be dropped until it is back"
    state.handle(ConnectionLost("64 clients are connected already", is_gone=False), 0.0)
    assert shown(state).notice == "64 clients are connected already"


def test_what_is_wrong_stays_in_sight_until_it_is_over() -> None:
    """It is shown beside the news of the last answer, and with the next question."""
    state = opened(connection_of(), connection_of(name="b.test"))
    for trouble in ("rules not \x1b loaded: line 3", "rules not loaded: line 4"):
        state.handle(NoticeGiven(trouble, stands=True), 1.0)
        assert (shown(state).warnings, shown(state).notice) == ((trouble.replace("\x1b", "\\x1b"),), "")
    for _ in range(2):
        state.handle(KeyPressed("y"), 10.0)
        state.handle(QuestionClosed(1, "answered"), 10.0)
        state.handle(NoticeGiven("answered"), 10.0)
        assert (shown(state).warnings, shown(state).notice) == (("rules not loaded: line 4",), "answered")
        state = state.begin_anew()
    state.handle(NoticeGiven("rules load again", stands=False), 20.0)
    assert (shown(state).warnings, shown(state).notice) == ((), "rules load again")


PAUSE = AskingMode(verdict=Verdict.ALLOW, ends_s=700.0, until_s=5.0)
TOLD = "what no rule covers passes unasked"


def test_that_nobody_is_asked_is_in_sight_with_what_is_left_of_it() -> None:
    """With a question, for which a rule asks, and without one; also after the window was left and came back."""
    state = opened(connection_of())
    state.handle(ModeTold(PAUSE, 600.0), 1.0)
    for now, left in ((1.0, "10 min 0 s"), (421.5, "3 min 0 s"), (500.2, "101 s"), (700.0, "0 s")):
        view = present_prompt(state, now)
        assert (view.warnings, view.notice) == ((f"paused, {left} left: {TOLD}",), ""), now
        assert view.countdown == view.warnings[-1]
    state = state.begin_anew()
    assert shown(state).warnings == (f"paused, 9 min 51 s left: {TOLD}",)
    state.handle(NoticeGiven("rules not loaded", stands=True), 1.0)
    assert shown(state).warnings[0] == "rules not loaded"
    state.note_clocks(2.0, wall_s=0.0, boot_s=100.0)
    state.note_clocks(3.0, wall_s=0.0, boot_s=101.0 + 300.0)
    assert present_prompt(state, 3.0).countdown.startswith("paused, 4 min 58 s left"), "the machine was suspended"
    state.handle(ModeTold(ASKING), 3.0)
    assert (shown(state).warnings, shown(state).notice) == (("rules not loaded",), ASKING_AGAIN)


def test_of_a_mode_without_end_and_of_observing_no_time_is_told() -> None:
    state = PaintedState()
    state.handle(ModeTold(AskingMode(verdict=Verdict.DENY)), 1.0)
    assert shown(state).warnings == ("mode deny: what no rule covers is denied unasked",)
    assert not state.is_counting_down
    state.handle(ModeTold(OBSERVING), 1.0)
    assert shown(state).warnings == ("observing (--learn): what no rule decides passes unasked",)
    state.handle(ConnectionLost("gone"), 2.0)
    assert shown(state).warnings == ()


def test_what_was_wrong_with_a_daemon_that_is_gone_is_not_known_of_the_next() -> None:
    state = opened(connection_of())
    state.handle(NoticeGiven("rules not loaded", stands=True), 1.0)
    state.handle(ConnectionLost("the daemon is gone"), 2.0)
    assert shown(state).warnings == ()


def test_a_question_warns_of_its_own_first() -> None:
    process = msgspec.structs.replace(CURL, warnings=("deleted file",))
    state = opened(connection_of(process))
    state.handle(NoticeGiven("rules not loaded", stands=True), 1.0)
    assert shown(state).warnings == ("deleted file", "rules not loaded")


def test_an_answer_that_the_daemon_has_not_taken_yet_is_on_its_way() -> None:
    """The daemon may be busy with its disk, and then the question is not closed yet."""
    state = opened(connection_of())
    state.handle(KeyPressed("y"), 10.0)
    assert shown(state).title == "the answer is on its way"
    state.handle(QuestionClosed(1, "answered"), 12.0)
    assert shown(state).title == "no questions"


def test_questions_put_aside_are_told_of() -> None:
    state = opened(connection_of())
    state.handle(KeyPressed("escape"), 10.0)
    view = shown(state)
    assert view.title == "1 question put aside, Tab shows it"
    assert "Tab" in [hint.label for hint in view.hints[0]]


@given(SOME_TEXT, SOME_TEXT, st.sampled_from(Lifetime), st.booleans())
def test_hostile_text_never_reaches_the_screen_raw(program: str, arg: str, lifetime: Lifetime, any_args: bool) -> None:
    process = msgspec.structs.replace(CURL, program=program, args=(arg, "x"))
    choice: Any = Choice(verdict=Verdict.ALLOW, lifetime=lifetime, any_args=any_args)
    connection = connection_of(process)
    assert text_of(present_rule(connection, choice, OPENED_S)).isprintable()
    assert present_lifetime(connection, choice).isprintable()


def test_who_edits_for_a_question_that_is_gone_sees_that_others_wait() -> None:
    state = opened(connection_of())
    state.handle(KeyPressed("e"), 10.0)
    state.handle(QuestionClosed(1, "answered by alice"), 11.0)
    assert shown(state).title == "the question whose rule you edited is gone"
    assert shown(state).edit  # the line may still be wanted
    state.handle(NoticeGiven("rules not loaded", stands=True), 11.0)
    state.handle(NoticeGiven("news"), 11.0)
    assert (shown(state).warnings, shown(state).notice) == (("rules not loaded",), "news")
    state.handle(QuestionOpened(prompt_of(2)), 12.0)
    assert shown(state).title == "the question whose rule you edited is gone; others wait"


TOKEN = "0mWk3Zq8TxLr5Vb1Nc7H"
CODE = ("-c", f"get('https://shop.test/?token={TOKEN}')")
PYTHON = msgspec.structs.replace(CURL, program="/usr/bin/python3", executable="/usr/bin/python3", args=CODE)


def test_of_a_rule_with_a_secret_a_warning_is_shown() -> None:
    with_token = msgspec.structs.replace(CURL, args=("-H", f"Authorization: Bearer {TOKEN}"))
    state = opened(connection_of(with_token))
    found = {}
    for key in "q", "j", "a", "9", "f", "j":
        state.handle(KeyPressed(key), 5.0)
        view = shown(state, 5.0)
        found[key] = (TOKEN in text_of(view.rule), SECRET_IN_RULE in view.warnings)
    assert all(in_rule is warned for in_rule, warned in found.values()), found
    assert (found["j"][0], found["9"][0], found["f"][0]) == (False, True, True)


def test_that_a_secret_is_left_out_of_a_rule_is_told() -> None:
    state = opened(connection_of(PYTHON))
    view = shown(state)
    assert SECRET_LEFT_OUT in view.warnings
    assert text_of(view.rule) == "allow shop.test 443 tcp /usr/bin/python3, until python3 quits"
    state.handle(KeyPressed("f"), 5.0)
    view = shown(state)
    assert SECRET_IN_RULE in view.warnings
    assert TOKEN in text_of(view.rule)


def test_a_secret_in_the_rule_of_another_question_of_the_program_is_warned_of() -> None:
    state = opened(connection_of(msgspec.structs.replace(PYTHON, args=("-c", "pass"))), connection_of(PYTHON))
    for key in "f", "g":
        state.handle(KeyPressed(key), 5.0)
    view = shown(state)
    assert (TOKEN in text_of(view.rule), SECRET_IN_RULE in view.warnings) == (False, True)


def test_whatever_lifetime_was_chosen_before_a_secret_is_not_proposed() -> None:
    """Where a lifetime goes on with the next question, it goes through `bounded` (core/prompts/answer.py)."""
    state = opened(connection_of(), connection_of(PYTHON))
    for key in "f", "y":
        state.handle(KeyPressed(key), 5.0)
        view = shown(state, 5.0)
    assert view.title.startswith("python3 wants")
    state.handle(QuestionOpened(prompt_of(3, connection_of(PYTHON, name="other.test"))), 6.0)
    for _ in range(2):
        view = shown(state, 6.0)
        assert TOKEN not in text_of(view.rule)
        assert SECRET_LEFT_OUT in view.warnings
        state.handle(KeyPressed("tab"), 8.0)


def test_the_rule_that_asks_shows_no_secret() -> None:
    rule = parse_rule(f"ask - - - /usr/bin/curl --token {TOKEN}")
    state = PaintedState()
    state.handle(QuestionOpened(msgspec.structs.replace(prompt_of(), rule=rule)), 0.0)
    assert "--token '0mWk…'" in shown(state).why


# --- what was learned from earlier answers -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "keys", "rules"),
    [
        (Verdict.ALLOW, "", ["allow *.shop.test", "deny img.shop.test"]),
        (Verdict.DENY, "", ["allow img.shop.test", "deny *.shop.test"]),
        (Verdict.ALLOW, "w", ["allow img.shop.test"]),
        (Verdict.DENY, "w", ["allow img.shop.test"]),
        (Verdict.ALLOW, "d", ["allow -"]),
    ],
)
def test_the_rules_on_the_screen_are_those_that_y_and_n_write(verdict: Verdict, keys: str, rules: list[str]) -> None:
    state = PaintedState()
    state.handle(QuestionOpened(learned_prompt_of(verdict=verdict)), 0.0)
    for key in ("f", *keys):
        state.handle(KeyPressed(key), 10.0)
    view = present_prompt(state, 11.0)
    assert [text_of(rule).partition(" 443")[0] for rule in view.rules] == rules
    assert (view.wider != "") is (len(rules) > 1)
    for key in "yn":
        answering = PaintedState()
        answering.handle(QuestionOpened(learned_prompt_of(verdict=verdict)), 0.0)
        for pressed in ("f", *keys):
            answering.handle(KeyPressed(pressed), 10.0)
        sent = answering.handle(KeyPressed(key), 12.0)
        assert isinstance(sent, Answers)
        choice = sent.answers[0].choice
        assert choice
        line = format_rule(rule_for_choice(learned_prompt_of().connection, choice, 0.0))
        shown = text_of(view.denied if key == "n" and view.denied else view.rule)
        assert line == (shown if key == "y" or view.denied else shown.replace("allow", "deny"))


def test_what_is_wider_than_the_question_is_said_escaped_and_with_the_key_that_narrows_it() -> None:
    prompt = msgspec.structs.replace(learned_prompt_of(), widened="for all of \x1b[2Jshop.test, since")
    state = PaintedState()
    state.handle(QuestionOpened(prompt), 0.0)
    view = present_prompt(state, 1.0)
    assert view.wider == r"for all of \x1b[2Jshop.test, since (w: only this)"
    (hint,) = [hint for row in view.hints for hint in row if hint.label == "w"]
    assert (hint.is_dead, hint.is_on) == (False, False)
    state.handle(KeyPressed("w"), 10.0)
    (hint,) = [hint for row in present_prompt(state, 11.0).hints for hint in row if hint.label == "w"]
    assert (hint.is_dead, hint.is_on) == (False, True)
