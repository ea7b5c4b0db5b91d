"""The lines of a group from the rules of another firewall.

Which of two rules wins is decided otherwise there, so the rules are compared pair by pair (`Draft.rank`):

1. A rule that another one with another verdict covers, and that loses to it there, never decided anything there. Here
   it would win, being narrower: so it is left out.
2. If the two only overlap and the one that allows wins there, the one that denies wins here. A comment says so.
"""

from collections.abc import Iterable, Iterator

import msgspec

from tinysnitch.core.imports.draft import Draft, NotSayable
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.facts import Facts, RemoteWords
from tinysnitch.core.policy.precedence import covers, covers_program, is_narrower, may_overlap
from tinysnitch.core.rules.note import with_note
from tinysnitch.core.rules.quoting import visible_text
from tinysnitch.core.rules.rule import Program, ProgramKind, Rule
from tinysnitch.core.rules.rule_line import format_rule

MAX_PAIRS = 1_000_000  # compared in some seconds
_MAX_NAME = 80  # characters
_WORDS = RemoteWords(Facts())


class _Line(msgspec.Struct):
    rule: Rule
    draft: Draft
    remarks: list[str]
    loses_here: list[str] = []  # the names of rules that it went before there


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """A rule there, and the line that says it here; `rule` is None where none does."""

    name: str  # of the rule there
    rule: str | None
    remarks: tuple[str, ...] = ()  # how the line differs; or why there is none


class GroupText(msgspec.Struct, frozen=True):
    source: str
    found: tuple[Imported, ...]
    taken: int  # rules that came over, in one line or several
    left: int  # rules that did not

    @property
    def lines(self) -> tuple[str, ...]:
        """Of a rules file."""
        head = f"# from {visible_text(self.source)}: {self.taken} of {self.taken + self.left} rules"
        return (head, *map(_format, self.found))


def write_group(source: str, found: Iterable[Draft | tuple[str, str]]) -> GroupText:
    """`source`: where the rules are from, for people."""
    found = list(found)
    lines: list[_Line] = []
    left = [one for one in found if not isinstance(one, Draft)]
    for draft in (one for one in found if isinstance(one, Draft)):
        try:
            lines += [_Line(rule, draft, list(dict.fromkeys(draft.remarks))) for rule in draft.rules()]
        except NotSayable as why:
            left.append((draft.name, str(why)))
    kept, dead = _compare(lines)
    here = {id(line.draft) for line in kept}
    left += [(line.draft.name, why) for line, why in dead]
    imported = [
        Imported(name=line.draft.name, rule=format_rule(line.rule), remarks=(*line.remarks, *_who_wins_here(line)))
        for line in kept
    ]
    imported += [Imported(name=name, rule=None, remarks=(why,)) for name, why in left]
    return GroupText(source, tuple(imported), len(here), len(found) - len(here))


def _format(imported: Imported) -> str:
    name, remarks = _short(imported.name), list(map(visible_text, imported.remarks))
    if imported.rule is None:
        return f"# not taken over: {name}: {remarks[0]}"
    return with_note(imported.rule, "; ".join([name, *remarks]))


def _who_wins_here(line: _Line) -> Iterator[str]:
    if names := list(dict.fromkeys(line.loses_here)):
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield f"there before {_short(names[0])}{more}; here they win where both match"


def _short(name: str) -> str:
    name = visible_text(name)
    return name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1]}…"


def _compare(lines: list[_Line]) -> tuple[list[_Line], list[tuple[_Line, str]]]:
    """The lines that are kept, and those that never decided anything there, with why."""
    by_verdict: dict[Verdict, list[_Line]] = {}
    for line in lines:
        by_verdict.setdefault(line.rule.verdict, []).append(line)
    sizes = [len(each) for each in by_verdict.values()]
    if (sum(sizes) ** 2 - sum(size * size for size in sizes)) // 2 > MAX_PAIRS:
        lines[0].remarks.append("too many rules to compare which of two wins")
        return lines, []
    dead: dict[int, str] = {}
    for winner, loser in _pairs(by_verdict):
        if covers(winner.rule, loser.rule, _WORDS):
            dead.setdefault(id(loser), f"it never decided anything: {_short(winner.draft.name)} went before it")
        elif winner.rule.verdict is Verdict.ALLOW and _wins_here(loser.rule, winner.rule):
            winner.loses_here.append(loser.draft.name)
    kept = [line for line in lines if id(line) not in dead]
    return kept, [(line, dead[id(line)]) for line in lines if id(line) in dead]


def _pairs(by_verdict: dict[Verdict, list[_Line]]) -> Iterator[tuple[_Line, _Line]]:
    """All pairs of different verdicts of which one wins there by its rank: it, and the other one."""
    for verdict, these in by_verdict.items():
        others = [line for other, lines in by_verdict.items() if other is not verdict for line in lines]
        for one in these:
            yield from ((one, other) for other in others if one.draft.rank < other.draft.rank)


def _wins_here(rule: Rule, other: Rule) -> bool:
    """Whether the rule that denies or asks wins over the one that allows, for some connection that both match."""
    programs = rule.program, other.program
    is_shared = covers_program(*programs) or covers_program(*programs[::-1]) or _are_patterns(*programs)
    return is_shared and may_overlap(rule, other, _WORDS) and not is_narrower(other, rule, _WORDS)


def _are_patterns(*programs: Program) -> bool:
    return all(program.kind is ProgramKind.GLOB for program in programs)
