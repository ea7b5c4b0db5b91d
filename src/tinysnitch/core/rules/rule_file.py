"""The lines of a rules file with the rules that they say: where most lines stay, only the others are parsed.

To parse 100,000 lines takes 0.3 s, and verdicts wait. So a hash of each line is kept, 8 bytes; the text would be 5 MB.
That two lines have the same one (64 bits, keyed by this process) is less likely than a fault of the memory.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from io import BytesIO
from itertools import islice
from operator import ne

import msgspec

from tinysnitch.core.model.errors import RuleSyntaxError
from tinysnitch.core.model.raw_text import BYTE_ORDER_MARK, bytes_of, text_of
from tinysnitch.core.rules.common_ends import find_common_ends
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.text import parse_each

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
