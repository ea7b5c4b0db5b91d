"""A changed rules file is parsed only where it differs, and means what it would mean to a first reader."""

from operator import ne

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.core.model.raw_text import bytes_of
from tinysnitch.core.rules import rule_file as rule_lines
from tinysnitch.core.rules import rule_file as rule_removal
from tinysnitch.core.rules import text as rule_text
from tinysnitch.core.rules.rule_file import (
    MAX_ERRORS,
    NO_LINES,
    Ends,
    find_common_ends,
    lines_without,
    parse_lines,
    rules_without,
)
from tinysnitch.core.rules.text import parse_rule, parse_rules

LINE = st.sampled_from(
    ["allow a.test - -", "deny b.test - -\r", "", "# why", " \t\r", "ask - - -", "nonsense", "allow /\udcff - -"]
)
TEXT = st.tuples(st.sampled_from(["", "\ufeff"]), st.lists(LINE, max_size=8), st.sampled_from(["", "\n"])).map(
    lambda parts: parts[0] + "\n".join(parts[1]) + parts[2]
)


@given(st.lists(TEXT, max_size=6))
def test_each_text_says_what_it_would_say_alone(texts: list[str]) -> None:
    known = NO_LINES
    for text in texts:
        lines, errors = parse_lines(bytes_of(text), "x", known)
        rules, all_errors = parse_rules(text, "x")
        assert (list(lines.rules), list(errors)) == (rules, all_errors)
        if not errors:
            known = lines
            assert known.hashes == parse_lines(bytes_of(text), "x")[0].hashes
            assert known.blanks == parse_lines(bytes_of(text), "x")[0].blanks


def test_lines_that_stay_are_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """100,000 lines take 0.3 s, and verdicts wait."""
    before = [f"allow n{number}.test - -" for number in range(20)]
    known, _ = parse_lines("\n".join(["# mine", *before, ""]).encode(), "x")
    parsed: list[str] = []
    parse_rule = rule_text.parse_rule
    monkeypatch.setattr(rule_text, "parse_rule", lambda line, *place: parsed.append(line) or parse_rule(line, *place))
    edited = ["# mine", *before[:5], "deny - - -", "# why", *before[6:]]
    lines, errors = parse_lines("\n".join([*edited, ""]).encode(), "x", known)
    assert (parsed, errors) == (["deny - - -"], ())
    assert [one is other for one, other in zip(lines.rules, known.rules, strict=True)].count(False) == 1
    parse_lines("\n".join([*edited, "ask - - -"]).encode(), "x", lines)
    assert parsed == ["deny - - -", "ask - - -"]


@pytest.mark.parametrize("kept", [0, 100])
def test_a_file_of_very_many_lines_is_parsed_anew(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule_lines, "MAX_KEPT", kept)
    known = NO_LINES
    for text in (b"allow - - -\n", b"allow - - -\n\ndeny - - -\n", b"deny - - -\n"):
        known, errors = parse_lines(text, "x", known)
        assert (list(known.rules), list(errors)) == parse_rules(text.decode(), "x")


def test_a_file_of_something_else_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    parse_rule = rule_text.parse_rule
    monkeypatch.setattr(rule_text, "parse_rule", lambda line, *place: parsed.append(line) or parse_rule(line, *place))
    _, errors = parse_lines(b"0.0.0.0 ads.test\n" * 20_000, "x")
    assert len(errors) == len(parsed) == MAX_ERRORS + 1


@pytest.mark.parametrize(
    ("old", "new", "ends"),
    [
        ("", "", (0, 0)),
        ("abc", "abc", (3, 0)),
        ("abc", "abcd", (3, 0)),
        ("abc", "xabc", (0, 3)),
        ("abcd", "abxcd", (2, 2)),
        ("abxcd", "abcd", (2, 2)),
        ("abc", "xyz", (0, 0)),
        ("aa", "aaa", (2, 0)),
        ("aaa", "aa", (2, 0)),
        ("abc", "", (0, 0)),
        ("aba", "a", (1, 0)),
    ],
)
def test_no_item_is_counted_at_both_ends(old: str, new: str, ends: tuple[int, int]) -> None:
    assert find_common_ends(old, new, ne) == ends


def test_equal_objects_are_not_the_same_by_default() -> None:
    one, other = [1], [1]
    assert find_common_ends((one, other), (one, [1], other)) == Ends(1, 1)
    assert Ends(1, 1).middle_of((1, 2, 3, 4)) == (2, 3)


LINES = [f"allow n{number}.example - -" for number in range(50)]
FILE = ["# mine", "", *LINES[:20], "  # more", "\t", *LINES[20:], "", f" {LINES[7]}\r", " \r", ""]


def test_few_lines_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    monkeypatch.setattr(rule_removal, "parse_rule", lambda line: parsed.append(line) or parse_rule(line))
    rules = tuple(parse_rules("\n".join(FILE), "x")[0])
    rule = rules[7]
    left = lines_without(rule, FILE, rules)
    assert parsed == [LINES[7], f" {LINES[7]}"]
    assert left == lines_without(rule, FILE, None)
    assert rules_without(rule, rules) == tuple(parse_rules("\n".join(left), "x")[0])


@pytest.mark.parametrize("number", [0, 19, 20, 49])
def test_each_line_is_found(number: int) -> None:
    rules = tuple(parse_rules("\n".join(FILE), "x")[0])
    assert lines_without(rules[number], FILE, rules) == [line for line in FILE if line != LINES[number]]


def test_what_the_lines_do_not_say_any_more_stays() -> None:
    rules = tuple(parse_rules("\n".join(FILE), "x")[0])
    assert lines_without(rules[3], FILE[:3], rules) == FILE[:3]
    assert lines_without(rules[3], FILE[::-1], rules) == FILE[::-1]
