"""Parses a rules file whenever it has changed. A line that stood in it before is not parsed again.

To parse 10,000 lines takes 50 ms, and verdicts wait.
"""

from tinysnitch.core.model.errors import RuleSyntaxError
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import lines_of, parse_line

MAX_ERRORS = 100


class RuleFileParser:
    def __init__(self, source: str) -> None:
        """`source`: what errors call the file."""
        self._source = source
        self._rules: dict[str, Rule] = {}  # by line, of the last text without errors

    def parse(self, text: str) -> tuple[tuple[Rule, ...], tuple[RuleSyntaxError, ...]]:
        """The rules of the text, and an error for each line that is no rule.

        After more than MAX_ERRORS no further line is read: it may be a file of something else, and a large one.
        """
        rules, errors, by_line = list[Rule](), list[RuleSyntaxError](), dict[str, Rule]()
        for number, line in enumerate(lines_of(text), 1):
            parsed = self.parse_line(line, number)
            if isinstance(parsed, Rule):
                rules.append(parsed)
                by_line[line] = parsed
            elif parsed is not None:
                errors.append(parsed)
                if len(errors) > MAX_ERRORS:
                    break
        if not errors:
            self._rules = by_line
        return tuple(rules), tuple(errors)

    def lines(self) -> tuple[tuple[str, Rule], ...]:
        """The lines with a rule of the last text without errors, each once, and the rule on each."""
        return tuple(self._rules.items())

    def parse_line(self, line: str, number: int = 1) -> Rule | RuleSyntaxError | None:
        """The rule on the line, or what is wrong with it; None: there is no rule, only a comment or nothing."""
        return self._rules.get(line) or parse_line(line, self._source, number)
