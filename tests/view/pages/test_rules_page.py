import msgspec
import pytest

from tests.view.pages.open_page import (
    LINES,
    NOW,
    READ,
    STATUS,
    WALL_S,
    change_of,
    done,
    entry_of,
    fill,
    press,
    rules_page,
)
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.rules.changes import Act
from tinysnitch.core.rules.rule_line import format_rule, parse_rule
from tinysnitch.protocol.messages import (
    AddRule,
    ChangedLine,
    ChangeEntry,
    ListChanges,
    ReadStatus,
    RemoveRule,
    RuleGroup,
    RuleSource,
    RuleWritten,
    TakeBack,
    Undone,
)
from tinysnitch.view.pages.list_frame import present_frame
from tinysnitch.view.pages.rules_page import RulesPage
from tinysnitch.view.pages.rules_view import present_rules
from tinysnitch.view.prompt_events import KeyPressed
from tinysnitch.view.prompt_view import KeyHint
from tinysnitch.view.span import text_of


def opened_with(*changes: ChangeEntry) -> RulesPage:
    page = rules_page()
    page.take(ListChanges(), changes)
    return page


def test_a_rule_is_removed_and_the_next_one_is_selected() -> None:
    page = rules_page()
    requests = press(page, "down", "x", "enter")
    assert requests == (RemoveRule(LINES[0]),)
    assert done(page, requests, RuleWritten(LINES[0])) == list(READ)
    fill(page, *map(entry_of, LINES[1:]))
    assert page.notice == f"removed: {LINES[0]}"
    assert page.entry
    assert page.entry.rule == LINES[1]


def test_a_changed_rule_is_written_before_the_old_one_goes_with_its_group_and_note() -> None:
    page = rules_page(entry_of(LINES[0], group="work", note="by alice 2026-12-01 the shop"))
    requests = press(page, "down", "e", *["backspace"] * 4, *"wget", "enter")
    new = "allow shop.test 443 tcp /usr/bin/wget"
    assert requests == (AddRule(f"{new}  # the shop", "work"), RemoveRule(LINES[0]))
    assert done(page, requests[:1], RuleWritten(new)) == list(READ)
    assert done(page, requests[1:], RuleWritten(LINES[0])) == list(READ)
    fill(page, entry_of(new, group="work"))
    assert page.notice == f"written: {new}"
    assert page.entry
    assert page.entry.rule == new


@pytest.mark.parametrize("typed", [(), (*"  # shop",), ("home", *["right"] * 5, "space")])
def test_a_rule_that_stays_the_same_is_not_removed(typed: tuple[str, ...]) -> None:
    page = rules_page()
    assert press(page, "down", "e", *typed, "enter") == ()
    assert page.edit is None
    assert "the rule is the same" in page.notice


def test_a_line_that_is_no_rule_is_not_written_and_one_that_asks_is() -> None:
    page = rules_page()
    assert press(page, "a", *"shop.test", "enter") == ()
    assert page.edit
    press(page, "ctrl+u", start_s=40.0)
    assert press(page, *"ask", "space", *"lan", "space", *"-", "space", "-", "enter", start_s=50.0) == (
        AddRule("ask lan - -"),
    )


def test_whoever_sees_only_their_own_writes_for_themselves() -> None:
    page = rules_page()
    page.uid = 1000
    press(page, "a")
    assert page.edit
    assert page.edit.text == "allow user=1000 "
    assert press(page, *["backspace"] * 10, *"-", "space", "-", "space", "-", "enter", start_s=20.0) == ()


def test_an_unchanged_line_changes_nothing() -> None:
    assert press(rules_page(), "down", "e", "enter") == ()


def test_what_the_daemon_refuses_is_told() -> None:
    page = rules_page()
    assert page.refuse(AddRule("x"), SnitchError("it is not yours", "ask root")) == READ
    assert page.notice == "it is not yours (ask root)"
    assert page.refuse(READ[0], SnitchError("gone")) == ()


def test_a_rule_that_could_not_be_saved_is_told() -> None:
    page = rules_page()
    done(page, (AddRule(LINES[0]),), RuleWritten(LINES[0], "the disk is full"))
    assert page.notice == f"the disk is full: {LINES[0]}"


def test_each_rule_is_a_row_in_its_columns() -> None:
    entries = [
        entry_of(LINES[0], note="by alice 2026-12-01"),
        entry_of(LINES[2], group="work"),
        entry_of("deny - - -", source=RuleSource.TEMPORARY, until=1_700_000_100.0),
        entry_of("deny a.test - -", source=RuleSource.TEMPORARY, until=1_699_000_000.0),
        entry_of("allow - - -", source=RuleSource.QUIT, pid=7),
    ]
    page = rules_page(*entries)
    press(page, "down")
    view = present_rules(page, 10.0, NOW)
    assert [(row.verdict, text_of(row.remote), row.port, row.protocol) for row in view.rows[:2]] == [
        (Verdict.ALLOW, "shop.test", "443", "tcp"),
        (Verdict.ALLOW, "lan", "22", "tcp"),
    ]
    assert [text_of(row.program) for row in view.rows] == ["/usr/bin/curl", "/usr/bin/ssh", "-", "-", "-"]
    assert [row.remarks for row in view.rows] == [
        "", "work, user=0", "1 min left", "its time is over", "pid 7",
    ]  # fmt: skip
    assert [row.is_over for row in view.rows] == [False, False, False, True, False]
    assert [(line.label, line.text) for line in view.frame.facts] == [
        ("rule", LINES[0]),
        ("note", "by alice 2026-12-01"),
    ]
    told = []
    for _row in view.rows[1:]:
        press(page, "down")
        told += [(line.label, line.text) for line in present_rules(page, 10.0, NOW).frame.facts[1:]]
    assert told == [
        ("group", "work"),
        ("holds", "for 1 min 30 s more"),
        ("holds", "no more: its time is over"),
        ("holds", "until process 7 ends"),
    ]
    assert view.frame.title == "5 rules"


def test_the_title_tells_what_the_filter_leaves_and_which_groups_are_off() -> None:
    page = rules_page()
    press(page, "slash", *"curl")
    page.take(ReadStatus(), (msgspec.structs.replace(STATUS, groups=(RuleGroup("tv", "/g", is_on=False),)),))
    assert present_rules(page, 10.0, NOW).frame.title == "1 of 3 rules; off: tv"


def test_a_hostile_rule_draws_nothing_and_secrets_are_short_in_the_list() -> None:
    hostile = format_rule(
        msgspec.structs.replace(
            parse_rule("allow - - - /usr/bin/x a"), args=("\u202e\x1b[2J", "--password=hunter2hunter2")
        )
    )
    page = rules_page(entry_of(hostile), entry_of("no rule of this version"))
    view = present_rules(page, 10.0, NOW)
    assert len(view.rows) == 1
    shown = text_of(view.rows[0].program)
    assert shown.isprintable()
    assert "hunter2hunter2" not in shown


def test_a_rule_is_removed_and_changed_by_its_number() -> None:
    """Of two lines that say the same, that of the row goes."""
    page = rules_page(entry_of(LINES[0], number=7), entry_of(LINES[0], number=8, group="work"))
    assert press(page, "down", "down", "x", "enter") == (RemoveRule(number=8),)
    done(page, (RemoveRule(number=8),), RuleWritten(LINES[0]))
    assert page.notice == f"removed: {LINES[0]}"
    assert press(page, "e", *"s", "enter", start_s=30.0)[1:] == (RemoveRule(number=8),)
    done(page, (AddRule(f"{LINES[0]}s"),), RuleWritten(f"{LINES[0]}s"))
    done(page, (RemoveRule(number=8),), RuleWritten(LINES[0]))
    assert page.notice == f"written: {LINES[0]}s"


def test_each_rule_tells_how_often_and_when_last_it_decided() -> None:
    page = rules_page(
        entry_of(LINES[0], count=4120, last=WALL_S - 3600),
        entry_of(LINES[1], count=1, last=WALL_S - 3 * 86400),
        entry_of(LINES[2], count=0),
        entry_of("deny - - -"),
    )
    rows = present_rules(page, 0.0, NOW).rows
    assert [(row.used, row.last) for row in rows] == [("4,120", "21:13"), ("1", "11 Nov"), ("-", "never"), ("", "")]
    told = []
    for _row in rows:
        press(page, "down")
        told += [line.text for line in present_rules(page, 0.0, NOW).frame.facts if line.label == "used"]
    assert told == ["4,120 times, last at 21:13", "once on 11 Nov at 22:13", "never"]
    press(page, "slash", *"never", "enter", start_s=30.0)
    assert list(page.shown.values()) == [entry_of(LINES[2], count=0)]


def test_the_last_change_of_the_person_is_shown_and_taken_back_by_its_number() -> None:
    page = opened_with(
        change_of(1, LINES[1]),
        change_of(2, LINES[2], removed=(LINES[0],), act=Act.TIDY),
        change_of(3, LINES[1], taken_back=WALL_S),
        change_of(4, LINES[1], uid=0),
    )
    assert press(page, "z") == ()
    frame = present_frame(page, 20.0, title="", facts=())
    assert [(line.label, line.text) for line in frame.facts] == [
        ("goes", f"- {LINES[2]}"),
        ("comes back", f"+ {LINES[0]}"),
    ]
    assert frame.hints[0] == KeyHint("Enter", "take back what you did 1 min 50 s ago")
    assert (requests := press(page, "enter", start_s=30.0)) == (TakeBack(2),)
    line = ChangedLine(LINES[0], page.changes[1].removed[0].place)
    assert done(page, requests, Undone(change=page.changes[1], put_back=(line,))) == list(READ)
    assert page.notice == f"put back: {LINES[0]} (change 2, by you)"
    fill(page, *map(entry_of, LINES))
    assert page.entry
    assert page.entry.rule == LINES[0]


def test_a_rule_that_was_moved_is_told_once_and_without_changes_nothing_waits() -> None:
    page = opened_with(change_of(1, LINES[0], "no rule of this version", removed=(LINES[0],), act=Act.MOVE))
    press(page, "z")
    assert page.waiting
    assert (page.waiting.lines, page.waiting.labels) == ((LINES[0],), ("moves back",))
    page = opened_with(change_of(4, LINES[1], uid=0))
    press(page, "z")
    assert (page.waiting, page.notice) == (None, "there is nothing of yours to take back")


@pytest.mark.parametrize("word", ["zebra", "excel", "maze", "hex", "x", "z", "zz"])
@pytest.mark.parametrize("pace_s", [0.005, 0.12, 0.24])
def test_no_text_that_is_typed_here_by_mistake_removes_or_takes_back(word: str, pace_s: float) -> None:
    """At once, as a paste without brackets comes, or by hand: with its Enter, and once more."""
    page = opened_with(change_of(1, LINES[0]))
    press(page, "down")
    keys = [*word, "enter", *"then", "enter"]
    assert [
        page.press(KeyPressed(key, key if len(key) == 1 else ""), 20.0 + at * pace_s) for at, key in enumerate(keys)
    ] == [()] * len(keys)
