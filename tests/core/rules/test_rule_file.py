"""A changed rules file is parsed only where it differs, and means what it would mean to a first reader."""

import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.core.model.errors import RuleSyntaxError
from tinysnitch.core.rules.rule_file import MAX_ERRORS, RuleFileParser
from tinysnitch.core.rules.rule_line import parse_rule, parse_rules

LINE = st.sampled_from(
    ["allow a.test - -", "deny b.test - -\r", "", "# why", " \t\r", "ask - - -", "nonsense", "allow /\udcff - -"]
)
TEXT = st.tuples(st.sampled_from(["", "\ufeff"]), st.lists(LINE, max_size=8), st.sampled_from(["", "\n"])).map(
    lambda parts: parts[0] + "\n".join(parts[1]) + parts[2]
)


@given(st.lists(TEXT, max_size=6))
def test_each_text_says_what_it_would_say_alone(texts: list[str]) -> None:
    parser = RuleFileParser("x")
    for text in texts:
        rules, errors = parser.parse(text)
        assert (list(rules), list(errors)) == parse_rules(text, "x")


@pytest.mark.parametrize("between", ["", "nonsense\n"])
def test_lines_that_stay_are_not_parsed_again(between: str) -> None:
    """10,000 lines take 50 ms, and verdicts wait."""
    parser, lines = RuleFileParser("x"), [f"allow n{number}.test - -" for number in range(20)]
    before, _errors = parser.parse("\n".join(["# mine", *lines, ""]))
    parser.parse("\n".join([between, *lines]))
    after, _errors = parser.parse("\n".join([*lines[3:5], "deny - - -", "# why", *lines[6:], ""]))
    assert after == (*before[3:5], parse_rule("deny - - -"), *before[6:])
    assert [rule for rule in after if not any(rule is each for each in before)] == [parse_rule("deny - - -")]


def test_lines_are_parsed_one_by_one() -> None:
    parser = RuleFileParser("x")
    (rule,), _errors = parser.parse("allow  a.test - - # mine\r\n")
    assert parser.parse_line("allow  a.test - - # mine\r") is rule
    assert parser.parse_line("allow a.test - -") == rule
    assert [parser.parse_line(line) for line in ("", "# mine", " \r")] == [None] * 3
    error = parser.parse_line("nonsense", 7)
    assert isinstance(error, RuleSyntaxError)
    assert (error.source, error.line) == ("x", 7)


def test_a_file_of_something_else_is_not_read_to_its_end() -> None:
    text = "0.0.0.0 ads.test\n" * 1_000_000
    parser = RuleFileParser("x")
    taken_s = timeit.timeit(lambda: parser.parse(text), number=1)
    assert len(parser.parse(text)[1]) == MAX_ERRORS + 1
    assert taken_s < 1.0  # 0.01 s; 10 s for all lines
