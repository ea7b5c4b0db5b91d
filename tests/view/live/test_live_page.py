import pytest

from tests.view.live.sample_traffic import CURL, FIREFOX, SSHD, WALL_S, entry, later, live_page, press
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.protocol.messages import (
    AddRule,
    BeatenRule,
    ConnectionsEnded,
    EndConnections,
    Explain,
    Explanation,
    ListRules,
    RuleEntry,
    RuleSource,
    RuleWritten,
)
from tinysnitch.view.live.connection import connection_of
from tinysnitch.view.live.live_page import SORT_KEY, LivePage
from tinysnitch.view.live.seen import TrafficSeen
from tinysnitch.view.live.traffic import key_of
from tinysnitch.view.live.tree import Level, Sort
from tinysnitch.view.prompt_events import KeyPressed


def at_row(page: LivePage, name: str, level: Level = Level.PROGRAM) -> LivePage:
    """The page with all rows unfolded and this one selected."""
    press(page, "plus", start_s=1.0)
    page.selected = next(node.key for node in page.nodes(1.0) if node.name == name and node.level is level)
    return page


def lines(page: LivePage) -> tuple[str, ...]:
    return page.waiting.lines if page.waiting else ()


def test_rows_are_unfolded_and_folded() -> None:
    page = live_page()
    press(page, "down", "right", start_s=1.0)
    assert [node.name for node in page.nodes(1.0)][:2] == [FIREFOX, "cdn.shop.test"]
    press(page, "down", "right", "down", start_s=1.0)
    page.nodes(1.0)
    assert page.node
    assert page.node.level is Level.CONNECTIONS
    press(page, "left", start_s=1.0)
    page.nodes(1.0)
    assert page.node
    assert (page.node.name, page.node.level) == ("cdn.shop.test", Level.REMOTE)
    press(page, "minus", start_s=1.0)
    assert len(page.nodes(1.0)) == 4


def test_a_key_or_a_click_sorts() -> None:
    page = live_page()
    press(page, "s", start_s=1.0)
    assert page.sort is Sort.TOTAL
    page.press(KeyPressed(f"{SORT_KEY}name", is_click=True), 1.0)
    assert page.sort is Sort.NAME


def test_while_it_is_paused_the_rows_stand_still_and_nothing_is_lost() -> None:
    page = live_page(entry())
    press(page, "space", start_s=1.0)
    page.see(TrafficSeen((later(entry(), 1.0), later(entry("/usr/bin/wget"), 1.0)), WALL_S + 2))
    assert page.is_paused
    assert [(node.name, node.sum.rate_in, node.sum.connections) for node in page.nodes(50.0)] == [(CURL, 1000, 1)]
    press(page, "space", start_s=60.0)
    assert {(node.name, node.sum.connections) for node in page.nodes(60.0)} == {(CURL, 2), ("/usr/bin/wget", 1)}


@pytest.mark.parametrize(
    ("name", "level", "key", "line"),
    [
        (CURL, Level.PROGRAM, "n", "deny - 443 tcp /usr/bin/curl"),
        ("shop.test", Level.REMOTE, "n", "deny shop.test 443 tcp /usr/bin/curl"),
        ("www.shop.test", Level.REMOTE, "n", f"deny www.shop.test - tcp {FIREFOX}"),
        (SSHD, Level.PROGRAM, "N", f"deny - 22 tcp-src {SSHD}"),
        ("fd77::9", Level.REMOTE, "n", f"deny fd77::9 22 tcp-src {SSHD}"),
        ("kernel", Level.PROGRAM, "y", "allow - - icmp kernel"),
        ("t.ads.test", Level.REMOTE, "Y", f"allow t.ads.test 443 tcp {FIREFOX}"),
    ],
)
def test_a_rule_is_shown_before_it_is_written(name: str, level: Level, key: str, line: str) -> None:
    page = at_row(live_page(), name, level)
    assert press(page, key) == ()
    assert lines(page) == (line,)
    assert press(page, "enter", start_s=20.0) == (AddRule(line),)
    page.take(AddRule(line), (RuleWritten(line),))
    assert page.notice == f"written: {line}"


def test_keys_of_a_question_change_the_rule_that_is_shown() -> None:
    page = at_row(live_page(), "cdn.shop.test", Level.REMOTE)
    press(page, "n", "d", "p")
    assert lines(page) == (f"deny *.shop.test - tcp {FIREFOX}",)
    press(page, "d", "p", "1", start_s=20.0)
    assert page.waiting
    assert page.waiting.told == "deny for 1 minute"
    assert "until=" in lines(page)[0]
    press(page, "f", "y", start_s=30.0)
    assert lines(page) == (f"allow - 443 tcp {FIREFOX}",)
    on = [hint.label for hint in page.choices() if hint.is_on]
    assert on == ["y", "f"]
    press(page, "o", "u", "tab", "x", start_s=40.0)
    assert lines(page) == (f"allow - 443 tcp {FIREFOX}",)


def test_a_rule_that_would_change_nothing_is_not_written() -> None:
    page = at_row(live_page(), "shop.test", Level.REMOTE)
    press(page, "y")
    assert page.waiting
    assert page.waiting.hindrance == "a rule does so already"
    assert press(page, "enter", start_s=20.0) == ()


def test_the_rule_is_edited_by_hand() -> None:
    page = at_row(live_page(), "shop.test", Level.REMOTE)
    press(page, "e")
    assert page.edit
    assert page.edit.text == "allow shop.test 443 tcp /usr/bin/curl"
    assert press(page, *["backspace"] * 4, *"wget", "enter", start_s=20.0) == (
        AddRule("allow shop.test 443 tcp /usr/bin/wget"),
    )


def test_whoever_sees_only_their_own_makes_rules_for_themselves() -> None:
    page = at_row(live_page(), "shop.test", Level.REMOTE)
    page.uid = 1000
    press(page, "n")
    assert lines(page) == ("deny user=1000 shop.test 443 tcp /usr/bin/curl",)


def test_enter_explains_why_since_when_and_what_it_beats() -> None:
    page = at_row(live_page(), "fd77::9", Level.REMOTE)
    asked = press(page, "enter")
    assert asked == (Explain(SSHD, "fd77::9", 22, "tcp-src"), ListRules())
    rule = "allow lan 22 tcp-src"
    said = Explanation(
        verdict=Verdict.ALLOW, reason="a rule matches", rule=rule, beaten=(BeatenRule("deny - - -", "wider"),)
    )
    page.take(asked[0], (said,))
    page.take(asked[1], (RuleEntry(rule, RuleSource.FILE, note="by alice 2026-12-01"),))
    assert page.told
    assert (page.told.explanation, page.told.note) == (said, "by alice 2026-12-01")


def test_of_a_program_nothing_is_explained_as_that_depends_on_the_remote() -> None:
    page = at_row(live_page(), FIREFOX)
    assert press(page, "enter") == ()
    assert page.notice == "it depends on the remote: → shows them"
    page.selected = f"{page.selected}\0t.ads.test"
    assert press(page, "enter", start_s=20.0) == (Explain(FIREFOX, "t.ads.test", 443, "tcp"), ListRules())
    assert page.notice == ""


def test_connections_of_a_row_are_ended_once_enter_says_so() -> None:
    page = at_row(live_page(), FIREFOX)
    assert press(page, "x") == ()
    assert page.waiting
    assert page.waiting.told == "end its connections"
    ends = press(page, "enter", start_s=20.0)
    assert [(end.program, end.port) for end in ends if isinstance(end, EndConnections)] == [
        (FIREFOX, 443),
        (FIREFOX, 80),
    ]
    for end in ends:
        page.take(end, (ConnectionsEnded(2),))
    assert page.notice == "ended: 4"


def test_only_tcp_is_ended_and_only_what_was_allowed() -> None:
    page = at_row(live_page(), "kernel")
    press(page, "x")
    assert (page.waiting, page.notice) == (None, "only connections of tcp can be ended")
    page = at_row(live_page(), "t.ads.test", Level.REMOTE)
    press(page, "x")
    assert page.waiting is None


def test_without_a_row_keys_do_nothing() -> None:
    page = live_page()
    assert press(page, "y", "n", "e", "enter", "right", start_s=1.0) == ()
    assert (page.waiting, page.edit) == (None, None)
    assert page.open(0.0) == ()


def test_what_no_connection_has_makes_no_rule() -> None:
    assert connection_of(key_of(entry(protocol="odd"))) is None
    assert connection_of(key_of(entry(remote_address="odd"))) is None
    page = live_page(entry(remote_address="odd"))
    press(page, "down", "n", start_s=1.0)
    assert (page.notice, page.waiting) == ("no rule can say this", None)
