"""The rules as a table."""

from datetime import UTC, datetime

from tinysnitch.protocol.messages import RuleEntry, RuleGroup, RuleSource
from tinysnitch.view.escape import cell_width
from tinysnitch.view.span import Weight, text_of
from tinysnitch.view.tables.rule_columns import tell_note
from tinysnitch.view.tables.rules_table import WIDE, lay_out_rules

NOW = datetime(2026, 12, 2, 20, 40, tzinfo=UTC)
NOW_S = NOW.timestamp()
RULES = [
    RuleEntry("allow github.com 443 tcp /usr/bin/git", RuleSource.FILE, number=3, note="by alice 2026-12-01 the shop"),
    RuleEntry("deny user=1000 *.ads.test - -", RuleSource.FILE, number=4),
    RuleEntry("ask - 22 tcp", RuleSource.TEMPORARY, until=NOW_S + 90, number=12),
    RuleEntry("deny - 23 tcp", RuleSource.TEMPORARY, until=NOW_S - 90, number=13),
    RuleEntry("allow lan 22 tcp-src /usr/sbin/sshd", RuleSource.FILE, group="work", number=5),
    RuleEntry("deny x.test - -", RuleSource.QUIT, pid=42),
]
GROUPS = [RuleGroup("work", "/etc/tinysnitch.d/work.rules", is_on=True), RuleGroup("games", "/g.off", is_on=False)]
HOSTILE = "/tmp/\x1b[2J\u202e界"


def test_rules_stand_in_columns_and_below_the_names_of_their_groups() -> None:
    rows = lay_out_rules(RULES, GROUPS, NOW, 100)
    assert [text_of(row) for row in rows] == [
        "    rule   remote      port  protocol  program",
        " 3  allow  github.com  443   tcp       /usr/bin/git    alice 1 Dec: the shop",
        " 4  deny   *.ads.test  -     -         -               user=1000",
        "12  ask    -           22    tcp       -               1 min left",
        "13  deny   -           23    tcp       -               its time is over",
        "    deny   x.test      -     -         -               pid 42",
        "",
        "group games is off  /g.off",
        "",
        "group work  /etc/tinysnitch.d/work.rules",
        " 5  allow  lan         22    tcp-src   /usr/sbin/sshd",
    ]
    verdicts = [next(span.weight for span in row if span.text.strip() in ("allow", "deny", "ask")) for row in rows[1:5]]
    assert verdicts == [Weight.GOOD, Weight.BAD, Weight.WARNING, Weight.QUIET]


def test_with_how_often_each_decided() -> None:
    used = [
        RuleEntry("allow a.test - -", RuleSource.FILE, count=48_210, last=NOW_S - 3600, note="why"),
        RuleEntry("allow b.test - -", RuleSource.FILE, count=0),
    ]
    head, *rows = (text_of(row) for row in lay_out_rules(used, (), NOW, 80))
    assert rows.pop(1) == "    why"
    assert head.split()[-2:] == ["used", "last"]
    assert [row.split()[5:] for row in rows] == [["48,210", "19:40"], ["-", "never"]]
    assert text_of(lay_out_rules(used, (), NOW, WIDE)[1]).endswith("48,210  19:40  why")


def test_on_a_narrow_terminal_a_note_stands_below_its_rule() -> None:
    note = "by alice 2026-12-01 the shop of the office on the second floor"
    entries = [RuleEntry(each.rule, each.source, group=each.group, note=note, count=1) for each in RULES]
    rows = [text_of(row) for row in lay_out_rules(entries, GROUPS, NOW, 80)]
    told = "    alice 1 Dec: the shop of the office on the second floor"
    assert [at for at, row in enumerate(rows) if row == told] == [2, 4, 6, 8, 10, 16]
    assert "sshd" in rows[15]


def test_a_note_tells_who_made_the_rule_and_when() -> None:
    notes = ("by alice 2026-12-01 no ads", "by bob 2024-02-29", "by bob 2024-02-30", "by and by")
    told = [tell_note(note, NOW) for note in notes]
    assert told == ["alice 1 Dec: no ads", "bob 2024-02-29", "bob 2024-02-30", "by and by"]


def test_no_text_of_a_rule_draws_or_runs_over_the_edge() -> None:
    rule = f"allow *.{'a' * 60}.test 443 tcp $'/tmp/\\x1b[2J\\u202e界{'x' * 80}' $'\\x1b]0;title'"
    entries = [
        RuleEntry(rule, RuleSource.FILE, note=HOSTILE, group=HOSTILE),
        RuleEntry(f"of another version {HOSTILE}", RuleSource.FILE),
    ]
    for width in (40, 80, 120):
        rows = [text_of(row) for row in lay_out_rules(entries, [RuleGroup(HOSTILE, HOSTILE, is_on=True)], NOW, width)]
        assert all(row.isprintable() for row in rows)
        assert max(map(cell_width, rows)) <= width
    assert rows[1].split()[:2] == ["of", "another"]
    assert lay_out_rules([], (), NOW, 80) == []
