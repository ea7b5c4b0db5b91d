"""Rules as lines of text: `verdict [qualifier=value ...] remote port protocol [program [args ...]]`.

COLUMNS has the columns, a table in each column's own file its spellings, QUALIFIERS the qualifiers. Parser and
formatter read these tables, and a test compares docs/rules.md with them.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import msgspec

from tinysnitch.core.model.errors import ARGUMENT, RuleSyntaxError
from tinysnitch.core.model.undecoded import BYTE_ORDER_MARK
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.rules.port_column import PORT_FORMS, format_ports, parse_ports
from tinysnitch.core.rules.program_column import (
    PROGRAM_FORMS,
    format_args,
    format_program,
    has_star,
    parse_args,
    parse_program,
)
from tinysnitch.core.rules.protocol_column import PROTOCOL_FORMS, Service, format_service, has_ports, parse_service
from tinysnitch.core.rules.qualifiers import QUALIFIERS, format_qualifiers
from tinysnitch.core.rules.quoting import BadWord, Form, Word, split_bare, split_words, unknown_word
from tinysnitch.core.rules.remote_column import REMOTE_FORMS, format_remote, parse_remote
from tinysnitch.core.rules.rule import ANY_PROGRAM, PortRange, Program, Rule

_LONGEST_BARE = 512  # characters of a line whose parts are kept: clients send longer ones
_LINE_HINT = "write verdict remote port protocol [program [args ...]]"
_PORTLESS_HINT = "only tcp and udp have ports: write - for the port"
_KEY = re.compile(r"([A-Za-z0-9_-]+)=")


def _parse_verdict(word: Word) -> Verdict:
    verdict = _VERDICTS.get(word.text)
    if verdict is None:
        raise unknown_word("not a verdict", word.text, _VERDICTS)
    return verdict


_VERDICTS = {verdict.value: verdict for verdict in Verdict}
_VERDICT_FORMS = (
    Form("allow", "let it through", _parse_verdict, is_word=True),
    Form("deny", "refuse it at once", _parse_verdict, is_word=True),
    Form("ask", "ask each time, even where a wider rule would decide", _parse_verdict, is_word=True),
)


class Column(msgspec.Struct, frozen=True):
    name: str
    parse: Callable[[Word], Any]
    forms: tuple[Form[Any], ...]


VERDICT = Column("verdict", _parse_verdict, _VERDICT_FORMS)
COLUMNS = (
    Column("remote", parse_remote, REMOTE_FORMS),
    Column("port", parse_ports, PORT_FORMS),
    Column("protocol", parse_service, PROTOCOL_FORMS),
    Column("program", parse_program, PROGRAM_FORMS),
)
_REQUIRED = 3  # columns behind the qualifiers


def parse_rule(line: str, source: str = ARGUMENT, line_number: int = 1) -> Rule:
    """The rule in a line. Raises RuleSyntaxError, and nothing else."""
    return _parse_bare(line) or _parse_line(line, source, line_number)


def _parse_bare(line: str) -> Rule | None:
    """The quick way for most lines, those without quotes and qualifiers: 3 to 5 µs instead of 9 to 16.

    What many lines have in common is parsed once. None: _parse_line has to look closer.
    """
    words = split_bare(line) if len(line) <= _LONGEST_BARE else None
    if words is None or len(words) <= _REQUIRED or "=" in words[1]:
        return None
    try:
        remote = parse_remote(_bare(words[1]))
        ports, service = _parse_service(*words[2:4])
        program = _parse_program(words[4]) if len(words) > _REQUIRED + 1 else ANY_PROGRAM
        args = [_bare(word) for word in words[len(COLUMNS) + 1 :]]
    except BadWord:
        return None
    verdict = _VERDICTS.get(words[0])
    if verdict is None or (ports and not has_ports(service.protocol)):
        return None
    return Rule(
        verdict=verdict,
        remote=remote,
        ports=ports,
        protocol=service.protocol,
        direction=service.direction,
        program=program,
        args=parse_args(args) if args else None,
    )


@lru_cache(maxsize=1024)
def _parse_service(port: str, protocol: str) -> tuple[tuple[PortRange, ...], Service]:
    return parse_ports(_bare(port)), parse_service(_bare(protocol))


@lru_cache(maxsize=4096)
def _parse_program(program: str) -> Program:
    """Cached, so that all rules for a program share one value."""
    return parse_program(_bare(program))


def _bare(text: str) -> Word:
    return Word(text, 1, True, text)


def _parse_line(line: str, source: str, line_number: int) -> Rule:
    try:
        if "\n" in line:
            raise BadWord("a rule is one line", _LINE_HINT, 1)
        words = split_words(line)
        if not words:
            raise BadWord("the rule is empty", _LINE_HINT, 1)
        return _parse_words(line, words)
    except BadWord as error:
        raise RuleSyntaxError(source, line_number, error.column, error.problem, error.hint) from None


def _parse_words(line: str, words: list[Word]) -> Rule:
    verdict = _parse_column(VERDICT, words[0])
    qualifiers: dict[str, Any] = {}
    position = 1
    while position < len(words) and (key := _KEY.match(line, words[position].column - 1)):
        _read_qualifier(qualifiers, key[1], words[position])
        position += 1
    columns = words[position : position + len(COLUMNS)]
    _refuse_late_qualifier(verdict, columns)
    values = [_parse_column(column, word) for column, word in zip(COLUMNS, columns, strict=False)]
    if len(columns) < _REQUIRED:
        *others, last = (f"a {column.name}" for column in COLUMNS[len(columns) : _REQUIRED])
        missing = f"{', '.join(others)} and {last} are" if others else f"{last} is"
        raise BadWord(f"{missing} missing", _LINE_HINT, len(line) + 1)
    _check_ports(values, columns)
    return _make_rule(verdict, qualifiers, values, words[position + len(COLUMNS) :])


def _parse_column(column: Column, word: Word) -> Any:  # noqa: ANN401  each column has a type of its own
    try:
        return column.parse(word)
    except BadWord as error:
        if any(character.isspace() and not character.isascii() for character in word.text):  # of a web page, say
            raise BadWord("a blank that is not a plain space", "write a plain space instead", word.column) from None
        raise BadWord(error.problem, error.hint, word.column) from None


def _refuse_late_qualifier(verdict: Verdict, columns: list[Word]) -> None:
    for word in columns:
        key, equals, _value = word.text.partition("=")
        if equals and key in QUALIFIERS:
            hint = f"write {verdict.value} {key}=... remote port protocol [program [args ...]]"
            raise BadWord(f"{key}= stands before the remote", hint, word.column)


def _read_qualifier(qualifiers: dict[str, Any], key: str, word: Word) -> None:
    """Parse the word, and add its value to `qualifiers`."""
    try:
        qualifier = QUALIFIERS.get(key)
        if qualifier is None:
            raise unknown_word("not a qualifier", key, QUALIFIERS)
        if qualifier.field in qualifiers:
            raise BadWord(f"{key}= is given twice", "leave one of them out")
        value = word.text.partition("=")[2]
        if not value:
            raise BadWord(f"{key}= has no value", f"write {qualifier.example}")
        if has_star(word):
            raise BadWord(f"{key}= takes no pattern", "write one whole value, in a rule for each; a star itself as '*'")
        qualifiers[qualifier.field] = qualifier.parse(value)
    except BadWord as error:
        raise BadWord(error.problem, error.hint, word.column) from None


def _check_ports(values: list[Any], columns: list[Word]) -> None:
    _remote, ports, service, *_program = values
    if ports and not has_ports(service.protocol):
        raise BadWord("a port for a protocol without ports", _PORTLESS_HINT, columns[1].column)


def _make_rule(verdict: Verdict, qualifiers: dict[str, Any], values: list[Any], args: list[Word]) -> Rule:
    remote, ports, service, *program = values
    return Rule(
        verdict=verdict,
        remote=remote,
        ports=ports,
        protocol=service.protocol,
        direction=service.direction,
        program=program[0] if program else ANY_PROGRAM,
        args=parse_args(args),
        **qualifiers,
    )


def parse_rules(text: str, source: str) -> tuple[list[Rule], list[RuleSyntaxError]]:
    """All rules in a file, and an error for each line that is none."""
    rules: list[Rule] = []
    errors: list[RuleSyntaxError] = []
    for number, line in enumerate(lines_of(text), 1):
        parsed = parse_line(line, source, number)
        if isinstance(parsed, RuleSyntaxError):
            errors.append(parsed)
        elif parsed is not None:
            rules.append(parsed)
    return rules, errors


def lines_of(text: str) -> Iterator[str]:
    """The lines of a file one by one: as a list they would take more memory than the rules."""
    text, start = text.removeprefix(BYTE_ORDER_MARK), 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]


def parse_line(line: str, source: str, number: int) -> Rule | RuleSyntaxError | None:
    """The rule on a line of a file, or what is wrong with it; None: there is no rule, only a comment or nothing."""
    line = line.removesuffix("\r")
    if _is_blank(line):
        return None
    try:
        return parse_rule(line, source, number)
    except RuleSyntaxError as error:
        error.__traceback__ = error.__context__ = None  # 3 KB, in a file that may have 100,000 bad lines
        return error


def _is_blank(line: str) -> bool:
    content = line.lstrip(" \t")
    return not content or content[0] == "#"


def format_rule(rule: Rule) -> str:
    """The rule as one line of printable text. parse_rule makes the same rule of it, but for `exec_id`."""
    words = [rule.verdict.value, *format_qualifiers(rule), format_remote(rule.remote), format_ports(rule.ports)]
    words.append(format_service(Service(rule.protocol, rule.direction)))
    if rule.program != ANY_PROGRAM or rule.args is not None:
        words.append(format_program(rule.program))
        words.extend(format_args(rule.args))
    return " ".join(words)
