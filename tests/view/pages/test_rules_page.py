import msgspec

from tests.view.pages.open_page import LINES, STATUS, done, entry_of, fill, press, rules_page
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.rules.text import format_rule, parse_rule
from tinysnitch.protocol.messages import (
    AddRule,
    ListRules,
    ReadStatus,
    RemoveRule,
    RuleGroup,
    RuleSource,
    RuleWritten,
)
from tinysnitch.view.pages.rules_view import present_rules
from tinysnitch.view.span import text_of

READ = [ListRules(), ReadStatus()]


def test_a_rule_is_removed_and_the_next_one_is_selected() -> None:
    page = rules_page()
    requests = press(page, "down", "x", "enter")
    assert requests == (RemoveRule(LINES[0]),)
    assert done(page, requests, RuleWritten(LINES[0])) == READ
    fill(page, *map(entry_of, LINES[1:]))
    assert page.notice == f"removed: {LINES[0]}"
    assert page.entry
    assert page.entry.rule == LINES[1]


def test_a_changed_rule_is_written_before_the_old_one_goes_with_its_group_and_note() -> None:
    page = rules_page(entry_of(LINES[0], group="work", note="by alice 2026-12-01 the shop"))
    requests = press(page, "down", "e", *["backspace"] * 4, *"wget", "enter")
    new = "allow shop.test 443 tcp /usr/bin/wget"
    assert requests == (AddRule(f"{new}  # the shop", "work"), RemoveRule(LINES[0]))
    assert done(page, requests[:1], RuleWritten(new)) == READ
    assert done(page, requests[1:], RuleWritten(LINES[0])) == READ
    fill(page, entry_of(new, group="work"))
    assert page.notice == f"written: {new}"
    assert page.entry
    assert page.entry.rule == new


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
    assert page.refuse(AddRule("x"), SnitchError("it is not yours", "ask root")) == tuple(READ)
    assert page.notice == "it is not yours (ask root)"
    assert page.refuse(ListRules(), SnitchError("gone")) == ()


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
    view = present_rules(page, 10.0)
    assert [(row.verdict, text_of(row.remote), row.port, row.protocol) for row in view.rows[:2]] == [
        (Verdict.ALLOW, "shop.test", "443", "tcp"),
        (Verdict.ALLOW, "lan", "22", "tcp"),
    ]
    assert [text_of(row.program) for row in view.rows] == ["/usr/bin/curl", "/usr/bin/ssh", "-", "-", "-"]
    assert [row.remarks for row in view.rows] == [
        "", "work, user=0", "1 min 30 s left", "its time is over", "ends with 7",
    ]  # fmt: skip
    assert [row.is_over for row in view.rows] == [False, False, False, True, False]
    assert [(line.label, line.text) for line in view.frame.facts] == [
        ("rule", LINES[0]),
        ("note", "by alice 2026-12-01"),
    ]
    assert view.frame.title == "5 rules"


def test_the_title_tells_what_the_filter_leaves_and_which_groups_are_off() -> None:
    page = rules_page()
    press(page, "slash", *"curl")
    page.take(ReadStatus(), (msgspec.structs.replace(STATUS, groups=(RuleGroup("tv", "/g", is_on=False),)),))
    assert present_rules(page, 10.0).frame.title == "1 of 3 rules; off: tv"


def test_a_hostile_rule_draws_nothing_and_secrets_are_short_in_the_list() -> None:
    hostile = format_rule(
        msgspec.structs.replace(
            parse_rule("allow - - - /usr/bin/x a"), args=("\u202e\x1b[2J", "--password=hunter2hunter2")
        )
    )
    page = rules_page(entry_of(hostile), entry_of("no rule of this version"))
    view = present_rules(page, 10.0)
    assert len(view.rows) == 1
    shown = text_of(view.rows[0].program)
    assert shown.isprintable()
    assert "hunter2hunter2" not in shown
