"""The fewest lines that say what passed without a rule, for people to take, widen, narrow or drop.

1. A line that a rule in force says already, or that a rule in force denies, is proposed to be dropped.
2. The others are joined as rules are (joins.py): first the names of a domain, then the ports of one remote, then the
   arguments. Where a rule in force is in the way the lines stay alone: what a rule denies is never allowed by one of
   these.
3. Each line comes with wider ones that can be taken instead: its domain, and any remote.
"""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec.structs import replace

from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.rules.rule import ANY_REMOTE, Rule
from tinysnitch.core.rules.rule_line import format_rule
from tinysnitch.core.tidy.joins import KeepsArgs, join_args, join_domains, join_ports, widen_to_domain
from tinysnitch.core.tidy.proposal import (
    Kind,
    Proposal,
    drop_together,
    effect_of_any_remote,
    effect_of_domain,
    effect_of_rule,
)
from tinysnitch.core.tidy.scope_index import ScopeIndex
from tinysnitch.core.tidy.soundness import find_cover, is_free


class Wider(msgspec.Struct, frozen=True):
    rule: Rule
    effect: str


class Reviewed(msgspec.Struct, frozen=True):
    """`proposal.removed` are the learned lines that it stands for."""

    proposal: Proposal
    wider: tuple[Wider, ...] = ()  # the narrowest first


def review(
    learned: Iterable[Rule], in_force: Iterable[Rule], facts: Facts, keeps_args: KeepsArgs
) -> Iterator[Reviewed]:
    index = ScopeIndex(facts, in_force)
    drops = {rule: _find_drop(rule, index) for rule in learned}
    left = [rule for rule, drop in drops.items() if not drop]
    lines: dict[Rule, Proposal] = {
        rule: Proposal(
            kind=Kind.ALONE, removed=(rule,), added=rule, why="it passed without a rule", effect=effect_of_rule(rule)
        )
        for rule in left
    }
    for join in (join_domains, join_ports, lambda rules, found: join_args(rules, found, keeps_args)):
        for joined in filter(None, list(join(list(lines), index))):
            _merge(lines, joined)
    order = {rule: place for place, rule in enumerate(drops)}
    for proposal in sorted(lines.values(), key=lambda each: order[each.removed[0]]):
        yield Reviewed(proposal, tuple(_widen(proposal.added, index)) if proposal.added else ())
    yield from map(Reviewed, drop_together(filter(None, drops.values())))


def may_be_taken(rule: Rule, index: ScopeIndex) -> bool:
    """Whether the rule can be added without allowing what a rule in force denies."""
    return rule.verdict is Verdict.ALLOW and not any(_denials_over(rule, index))


def _merge(lines: dict[Rule, Proposal], joined: Proposal) -> None:
    """Put the join of some lines, each of which may be one already, in their place."""
    assert joined.added is not None
    parts = [lines.pop(rule) for rule in joined.removed]
    if joined.added in lines:  # there are so many that one message does not hold them: it covers the rest, once taken
        return
    effects = [part.effect for part in parts if part.kind in (Kind.DOMAIN, Kind.ARGS)]
    removed = tuple(dict.fromkeys(rule for part in parts for rule in part.removed))
    is_exact, just_these = joined.kind is Kind.PORTS, f"lets pass these {len(removed)} and nothing else"
    lines[joined.added] = replace(
        joined,
        kind=parts[0].kind if is_exact and effects else joined.kind,
        removed=removed,
        effect="; ".join(dict.fromkeys(effects)) or just_these if is_exact else joined.effect,
    )


def _find_drop(rule: Rule, index: ScopeIndex) -> Proposal | None:
    cover = find_cover(rule, index, is_among=False)
    if cover:
        return Proposal(kind=Kind.COVERED, removed=(rule,), why=f"a rule in force says it: {format_rule(cover)}")
    denial = next(_denials_over(rule, index), None)
    if denial:
        return Proposal(kind=Kind.DENIED, removed=(rule,), why=f"a rule in force denies it: {format_rule(denial)}")
    return None


def _denials_over(rule: Rule, index: ScopeIndex) -> Iterator[Rule]:
    """The rules that deny what this one, being narrower, would allow."""
    return (each.rule for each in index.covering(index.resolve(rule)) if each.rule.verdict is Verdict.DENY)


def _widen(rule: Rule, index: ScopeIndex) -> Iterator[Wider]:
    domain = widen_to_domain(rule)
    if domain and domain != rule and is_free(index.resolve(domain), index):
        yield Wider(domain, effect_of_domain(domain))
    anywhere = replace(rule, remote=ANY_REMOTE)
    if anywhere != rule and is_free(index.resolve(anywhere), index):
        yield Wider(anywhere, effect_of_any_remote(anywhere))
