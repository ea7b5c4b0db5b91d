"""What would make the rules in force fewer: those that can be dropped, and those that can be joined.

Everything is proposed for the rules as they are now: after a proposal was taken others may come up. No rule is in two
proposals of one round.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

import msgspec

from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.policy.precedence import covers
from tinysnitch.core.rules.rule import ProgramKind, RemoteKind, Rule
from tinysnitch.core.rules.rule_line import format_rule
from tinysnitch.core.tidy.joins import KeepsArgs, is_sound, join_args, join_domains, join_ports
from tinysnitch.core.tidy.proposal import Kind, Proposal, drop_together
from tinysnitch.core.tidy.scope_index import ScopeIndex
from tinysnitch.core.tidy.soundness import find_cover, is_lasting, is_missed_by_none

UNUSED_S = 90 * 86400.0
ENDED_S = 86400.0  # how long a rule is over before it is dropped: the clock may be set back by some hours
REST = 64  # rules, until the caller may do something else
_ASKED_AGAIN = "no longer decides what it did: you are asked again, or a wider rule decides"
_IF_BACK = "nothing matches it now; if what it names comes back, you are asked"


class Gone(msgspec.Struct, frozen=True):
    """What is not there any more, as rules name it."""

    paths: Collection[str] = frozenset()  # of programs and parents
    users: Collection[str] = frozenset()
    lists: Collection[str] = frozenset()


def propose(
    rules: Iterable[Rule],
    facts: Facts,
    wall_s: float,
    keeps_args: KeepsArgs,
    *,
    mine: Collection[Rule] | None = None,
    gone: Gone = Gone(),  # noqa: B008 - a frozen value
    last_used: Mapping[Rule, float] | None = None,
) -> Iterator[Proposal | None]:
    """Proposals about `mine` (None: all of the rules). None in between is a moment to rest: this may take a second.

    `last_used`: wall-clock seconds of each rule whose last use is known."""
    rules = tuple(rules)
    looked_at = rules if mine is None else tuple(mine)
    index = ScopeIndex(facts)
    for rule in _resting(rules):
        if rule is None:
            yield None
        else:
            index.add(rule)
    drops: dict[Rule, Proposal] = {}
    finds: tuple[Callable[[Rule], Proposal | None], ...] = (
        lambda rule: _find_dead(rule, index, wall_s, gone, last_used or {}),
        lambda rule: _find_covered(rule, index, drops),
    )
    for find in finds:
        for rule in _resting(looked_at):
            drop = find(rule) if rule and rule not in drops else None
            if rule and drop:
                drops[rule] = drop
            if rule is None:
                yield None
    yield from drop_together(drops.values())
    left = [rule for rule in looked_at if rule not in drops and is_lasting(rule, index)]
    yield from join(left, index, keeps_args)


def _resting(rules: Iterable[Rule]) -> Iterator[Rule | None]:
    for number, rule in enumerate(rules):
        if number % REST == 0:
            yield None
        yield rule


def join(rules: list[Rule], index: ScopeIndex, keeps_args: KeepsArgs) -> Iterator[Proposal | None]:
    """All joins of a round: first those that say nothing more."""
    taken: set[Rule] = set()
    for find in (join_ports, join_domains, lambda left, found: join_args(left, found, keeps_args)):
        for joined in find([rule for rule in rules if rule not in taken], index):
            taken.update(joined.removed if joined else ())
            yield joined


def is_still_sound(proposal: Proposal, index: ScopeIndex) -> bool:
    """Whether a proposal of some time ago is sound with the rules as they are now, which are those of the index."""
    if proposal.added is None:
        return proposal.kind is not Kind.COVERED or all(find_cover(rule, index) for rule in proposal.removed)
    is_wider = all(_is_within(rule, proposal.added, index) for rule in proposal.removed)
    return is_wider and is_sound(proposal.kind, proposal.removed, proposal.added, index)


def _is_within(old: Rule, new: Rule, index: ScopeIndex) -> bool:
    return old.verdict is new.verdict and covers(index.resolve(new), index.resolve(old), index.words)


def _find_dead(
    rule: Rule, index: ScopeIndex, wall_s: float, gone: Gone, last_used: Mapping[Rule, float]
) -> Proposal | None:
    if rule.until_s is not None:
        is_over = rule.exec_id is None and rule.until_s + ENDED_S <= wall_s
        return Proposal(kind=Kind.EXPIRED, removed=(rule,), why="its time is over") if is_over else None
    if rule.exec_id is not None:
        return None
    missing = _find_missing(rule, gone)
    if missing and is_missed_by_none(index.resolve(rule), index):
        return Proposal(kind=Kind.GONE, removed=(rule,), why=missing, effect=_IF_BACK)
    used_s = last_used.get(rule)
    if used_s is not None and used_s + UNUSED_S <= wall_s and is_missed_by_none(index.resolve(rule), index):
        days = int((wall_s - used_s) // 86400)
        return Proposal(kind=Kind.UNUSED, removed=(rule,), why=f"unused for {days} days", effect=_ASKED_AGAIN)
    return None


def _find_covered(rule: Rule, index: ScopeIndex, dropped: Collection[Rule]) -> Proposal | None:
    """`dropped`: rules that may go for another reason, and so are none for this one to go."""
    cover = find_cover(rule, index, besides=dropped) if is_lasting(rule, index) else None
    why = f"a wider rule says the same: {format_rule(cover)}" if cover else ""
    return Proposal(kind=Kind.COVERED, removed=(rule,), why=why) if cover else None


def _find_missing(rule: Rule, gone: Gone) -> str:
    """What the rule names and is not there any more; "": nothing."""
    paths = (rule.program.text if rule.program.kind is ProgramKind.PATH else None, rule.parent)
    for path in paths:
        if path is not None and path in gone.paths:
            return f"there is no file {path}"
    if rule.user is not None and rule.user in gone.users:
        return f"there is no user {rule.user}"
    is_list = rule.remote.kind is RemoteKind.LIST and rule.remote.text in gone.lists
    return f"there is no list {rule.remote.text}" if is_list else ""
