"""Rules as lines of text: the parser and the formatter (the grammar is in docs/rules.md)."""

from tinysnitch.core.errors import RuleSyntaxError
from tinysnitch.core.rule import Rule


def parse_rule(line: str, source: str = "<argument>", line_number: int = 1) -> Rule:
    """The rule that a line says; RuleSyntaxError is all it raises."""
    raise RuleSyntaxError(source, line_number, 1, f"not a rule: {line!r}")


def parse_rules(text: str, source: str) -> tuple[list[Rule], list[RuleSyntaxError]]:
    """Every rule of a file, and an error for every line that is none."""
    return [], []


def format_rule(rule: Rule) -> str:
    """The rule as one line of safe text."""
    return rule.verdict.value
