"""The comment behind a rule."""

import pytest

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.rules.note import MAX_NOTE, made_by, note_of, with_note
from tinysnitch.core.rules.quoting import find_comment, visible_text
from tinysnitch.core.rules.rule_line import parse_rule

LINE = "allow git.test 443 tcp /usr/bin/git"
NOON = 1_796_212_800.0  # 2026-12-02T12:00:00Z


@pytest.mark.parametrize(
    ("line", "note"),
    [
        (LINE, ""),
        (f"{LINE}  # by alice 2026-12-02 the shop", "by alice 2026-12-02 the shop"),
        (f"{LINE} '#' \"# \" a#b \\# # why # so\r", "why # so"),
        ("# a line of its own", "a line of its own"),
        (f"{LINE} 'open # no comment", ""),
        (f"{LINE} #\x1b[31m\u202ered\udcff", "\\x1b[31m\\u202ered\\xff"),
    ],
)
def test_what_stands_behind_the_rule_is_its_note(line: str, note: str) -> None:
    assert note_of(line) == note


def test_who_made_a_rule_and_when_stands_before_what_it_is_for() -> None:
    note = made_by("alice", NOON, note_of(f"{LINE} # the shop"))
    assert note == "by alice 2026-12-02 the shop"
    line = with_note(LINE, note)
    assert (note_of(line), parse_rule(line)) == (note, parse_rule(LINE))
    assert with_note(LINE, "") == LINE
    assert made_by("root", NOON) == "by root 2026-12-02"


def test_no_name_and_no_note_can_add_a_line() -> None:
    line = with_note(LINE, made_by("eve\nallow - - -", NOON, note_of(f"{LINE} # \x85 \u2028 \r x")))
    assert len(line.splitlines()) == 1
    assert line.isprintable()
    assert parse_rule(line) == parse_rule(LINE)
    assert visible_text("a\tb") == "a\\tb"
    assert find_comment("a '#b' #c") == "c"


def test_a_note_has_a_bound() -> None:
    with pytest.raises(SnitchError, match="more than 200 characters"):
        made_by("alice", NOON, "x" * (MAX_NOTE + 1))
