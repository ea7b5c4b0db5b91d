"""The lines of a rules file with the rules that they say: where most lines stay, only the others are parsed.

To parse 100,000 lines takes 0.3 s, and verdicts wait. So a hash of each line is kept, 8 bytes; the text would be 5 MB.
That two lines have the same one (64 bits, keyed by this process) is less likely than a fault of the memory.

Where two sequences differ: of a long file most lines stay, and what was made of them need not be made again.

Takes a rule out of the lines of a rules file, of which there may be 100,000: to parse all again would take long.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from itertools import compress, count, islice, repeat
from operator import eq, is_not, ne
from typing import NamedTuple, TypeVar

import msgspec

from tinysnitch.core.model.errors import RuleSyntaxError
from tinysnitch.core.model.raw_text import BYTE_ORDER_MARK, bytes_of, text_of
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.text import is_blank, parse_each, parse_rule

T = TypeVar("T")


class Ends(NamedTuple):
    """How many items at the beginning, and how many others at the end, are the same."""

    first: int
    last: int

    def middle_of(self, items: Sequence[T]) -> Sequence[T]:
        """What lies between these ends."""
        return items[self.first : len(items) - self.last]


def find_common_ends(
    old: Sequence[object], new: Sequence[object], differ: Callable[[object, object], bool] = is_not
) -> Ends:
    """`differ` should be a function in C: 100,000 items then take 3 ms."""
    shorter = min(len(old), len(new))
    first = _count_same(old, new, shorter, differ)
    last = _count_same(reversed(old), reversed(new), shorter - first, differ)
    return Ends(first, last)


def _count_same(old: Iterable[object], new: Iterable[object], limit: int, differ: Callable[..., bool]) -> int:
    return next(compress(count(), map(differ, islice(old, limit), new)), limit)


MAX_KEPT = 1 << 20  # lines; a file of more is parsed anew each time
MAX_ERRORS = 100
_MARK = bytes_of(BYTE_ORDER_MARK)


class RuleLines(msgspec.Struct, frozen=True):
    """`hashes` and `blanks` (the indexes of lines without a rule) are empty for more than MAX_KEPT lines."""

    hashes: "array[int]"
    blanks: "array[int]"
    rules: tuple[Rule, ...]

    def cut(self, first: int, last: int) -> "tuple[RuleLines, RuleLines]":
        """The first lines, and the last; `blanks` of these count from the first of them."""
        start = len(self.hashes) - last
        first_blanks, start_blanks = bisect_left(self.blanks, first), bisect_left(self.blanks, start)
        blanks = array("q", (index - start for index in self.blanks[start_blanks:]))
        return (
            RuleLines(self.hashes[:first], self.blanks[:first_blanks], self.rules[: first - first_blanks]),
            RuleLines(self.hashes[start:], blanks, self.rules[start - start_blanks :]),
        )


NO_LINES = RuleLines(array("q"), array("q"), ())


def parse_lines(raw: bytes, source: str, known: RuleLines = NO_LINES) -> tuple[RuleLines, tuple[RuleSyntaxError, ...]]:
    """The lines of a file, and an error for each that is no rule. `known`: what an earlier text without errors gave.

    After more than MAX_ERRORS no further line is read: it may be a file of something else, and a large one.
    """
    raw = raw.removeprefix(_MARK)
    if raw.count(b"\n") > MAX_KEPT:
        rules, _blanks, errors = _parse(BytesIO(raw), source, 0)
        return RuleLines(NO_LINES.hashes, NO_LINES.blanks, rules), errors
    hashes = array("q", map(hash, BytesIO(raw)))
    first, last = find_common_ends(known.hashes, hashes, ne)
    before, after = known.cut(first, last) if known.hashes else (NO_LINES, NO_LINES)
    middle, blanks, errors = _parse(islice(BytesIO(raw), first, len(hashes) - last), source, first)
    blanks = before.blanks + blanks
    blanks.extend(index + len(hashes) - last for index in after.blanks)
    return RuleLines(hashes, blanks, before.rules + middle + after.rules), errors


def _parse(
    lines: Iterable[bytes], source: str, first: int
) -> tuple[tuple[Rule, ...], "array[int]", tuple[RuleSyntaxError, ...]]:
    """The rules, which lines say none, and the errors. `first`: the index of the first line."""
    rules, blanks, errors = list[Rule](), array("q"), list[RuleSyntaxError]()
    texts = (text_of(line).removesuffix("\n") for line in lines)
    for index, said in enumerate(parse_each(texts, source, first + 1), first):
        if said is None:
            blanks.append(index)
        elif isinstance(said, RuleSyntaxError):
            errors.append(said)
            if len(errors) > MAX_ERRORS:
                break
        else:
            rules.append(said)
    return tuple(rules), blanks, tuple(errors)


_BLANK = " \t\r#"  # what the lines begin with that may say no rule, if they are not empty


def lines_without(rule: Rule, lines: list[str], rules: tuple[Rule, ...] | None) -> list[str]:
    """The lines that do not say the rule. `rules`: what the lines say, in order; None if some say none."""
    if rules is None:
        return [line for line in lines if not says(line, rule)]
    said = _find_lines(lines, _find_all(rule, rules))
    return _without(lines, [index for index in said if index < len(lines) and says(lines[index], rule)])


def rules_without(rule: Rule, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    return tuple(_without(rules, _find_all(rule, rules)))


def _find_all(rule: Rule, rules: tuple[Rule, ...]) -> list[int]:
    """The indexes of the rule; by functions in C, since it takes 8 ms for 100,000 rules even so."""
    return list(compress(count(), map(eq, rules, repeat(rule))))


def _find_lines(lines: list[str], numbers: list[int]) -> list[int]:
    """The indexes of those lines that say the first rule (number 0), the second ..., in a file without errors."""
    blanks = [index for index, line in enumerate(lines) if line[:1] in _BLANK and is_blank(line.removesuffix("\r"))]
    ruled = [index - number for number, index in enumerate(blanks)]  # how many lines before each blank one say a rule
    return [number + bisect_right(ruled, number) for number in numbers]


def _without(items: Sequence[T], indexes: list[int]) -> list[T]:
    left = list(items)
    for index in reversed(indexes):
        del left[index]
    return left


def says(line: str, rule: Rule) -> bool:
    try:
        return parse_rule(line.removesuffix("\r")) == rule
    except RuleSyntaxError:
        return False
