"""A rule is taken out of many lines, of which few are looked at closer."""

import pytest

from tinysnitch.core.rules import rule_removal
from tinysnitch.core.rules.rule_removal import lines_without, rules_without
from tinysnitch.core.rules.text import parse_rule, parse_rules

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
