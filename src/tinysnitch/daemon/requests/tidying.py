"""Answers what clients ask about rules that could be fewer, and about what passed without a rule (core/tidy).

Nothing is taken unless it is sound with the rules as they are then: others may have changed them since it was listed.
Rules are added and removed as by `rules add` and `rules remove`, with the same rights: the new one first, so that at no
moment less is decided. All of one proposal is one change, which `tinysnitch undo` takes back.
"""

import random
from collections.abc import Callable, Iterator
from itertools import chain

from tinysnitch.core.model.errors import NotPermitted, SnitchError
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.rules.changes import Act, Deed
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import format_rule, parse_line, parse_rule
from tinysnitch.core.tidy.learned_review import Reviewed, may_be_taken, review
from tinysnitch.core.tidy.proposal import Proposal
from tinysnitch.core.tidy.rules_tidy import Gone, is_still_sound, propose
from tinysnitch.core.tidy.scope_index import ScopeIndex
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.daemon.loop.driver import Driver
from tinysnitch.daemon.requests.rule_permission import may_see_rule
from tinysnitch.kernel.system.clock import read_instant
from tinysnitch.protocol import messages as msg
from tinysnitch.store.learned_rules import LearnedRules

_CHANGED = "the rules have changed since: this would decide otherwise now"
_AGAIN = "ask for the proposals again"
_WORKING = msg.Working()
Change = Callable[[str, Right, Deed], str]
_LEARNED = Deed(Act.ADD)


class Tidying:
    def __init__(self, driver: Driver, *, add_rule: Change, remove_rule: Change) -> None:
        self._engine = driver.engine
        self._ports = driver.ports
        self._add_rule = add_rule
        self._remove_rule = remove_rule

    @property
    def _learned(self) -> LearnedRules:
        return self._ports.recorder.learned_rules

    @property
    def _facts(self) -> Facts:
        return self._engine.rules.facts

    def list_proposals(self, request: msg.ListProposals, right: Right) -> Iterator[msg.Reply]:
        rules, now = tuple(self._engine.rules), read_instant()
        gone = Gone(
            paths=frozenset(request.gone_paths),
            users=set(request.gone_users) - self._facts.users.keys(),  # a look-up may have failed for the client alone
            lists=set(request.gone_lists) - self._facts.lists.keys(),
        )
        found = propose(
            rules,
            self._facts,
            now.wall_s,
            self._engine.catalogue.keeps_args,
            mine=tuple(rule for rule in rules if may_see_rule(rule, right, self._engine.rules)),
            gone=gone,
            last_used={rule: use.last_s for rule, use in self._ports.uses.read(now).items()},
        )
        return (_WORKING if each is None else _entry(each) for each in found)

    def take(self, request: msg.TakeProposal, right: Right) -> Iterator[msg.Reply]:
        """Rules are removed one by one as this goes on: each removal reads and writes the file."""
        removed = tuple(map(parse_rule, request.removed))
        added = None if request.added is None else parse_rule(request.added)
        if not removed or not set(removed) <= set(self._engine.rules):
            raise SnitchError(_CHANGED, _AGAIN)
        proposal = Proposal(kind=request.kind, removed=removed, added=added, why="")
        if not is_still_sound(proposal, ScopeIndex(self._facts, self._engine.rules)):
            raise SnitchError(_CHANGED, _AGAIN)
        deed = Deed(Act.TIDY, together=random.getrandbits(50))
        written = format_rule(removed[0]) if added is None else self._add_rule(format_rule(added), right, deed)
        gone = tuple(rule for rule in removed if rule != added)
        return chain(self._remove(gone, right, deed), (msg.RuleWritten(written),))

    def _remove(self, rules: tuple[Rule, ...], right: Right, deed: Deed) -> Iterator[msg.Reply]:
        for rule in rules:
            self._remove_rule(format_rule(rule), right, deed)
            yield _WORKING

    def list_learned(self, right: Right) -> Iterator[msg.Reply]:
        _check_sees_all(right)
        about = {rule: since for line, since in self._learned.lines() if (rule := _read_rule(line))}
        found = review(about, self._engine.rules, self._facts, self._engine.catalogue.keeps_args)
        return (self._learned_entry(each, about) for each in found)

    def _learned_entry(self, reviewed: Reviewed, about: dict[Rule, str]) -> msg.LearnedEntry:
        proposal = reviewed.proposal
        lines = ((format_rule(rule), about[rule]) for rule in proposal.removed)
        return msg.LearnedEntry(
            kind=proposal.kind,
            lines=tuple(msg.LearnedLine(line, since, self._learned.counts[line]) for line, since in lines),
            added=_line_of(proposal.added),
            why=proposal.why,
            effect=proposal.effect,
            wider=tuple(msg.WiderRule(format_rule(each.rule), each.effect) for each in reviewed.wider),
        )

    def take_learned(self, request: msg.TakeLearned, right: Right) -> msg.RuleWritten:
        _check_sees_all(right)
        written = request.lines[0] if request.lines else ""
        if request.rule is not None:
            rule = parse_rule(request.rule)
            if not may_be_taken(rule, ScopeIndex(self._facts, self._engine.rules)):
                raise SnitchError("a rule in force denies what this one would allow", "remove that one first")
            written = self._add_rule(format_rule(rule), right, _LEARNED)
        self._learned.forget(request.lines)
        return msg.RuleWritten(written)


def _read_rule(line: str) -> Rule | None:
    """The rule on a line of the file of learned rules; None: somebody has edited it, and it is none."""
    rule = parse_line(line, "", 1)
    return rule if isinstance(rule, Rule) else None


def _check_sees_all(right: Right) -> None:
    if not right.sees_all:
        raise NotPermitted("what passed without a rule is shown only to those who may see everything", "run it as root")


def _entry(proposal: Proposal) -> msg.ProposalEntry:
    return msg.ProposalEntry(
        kind=proposal.kind,
        removed=tuple(map(format_rule, proposal.removed)),
        added=_line_of(proposal.added),
        why=proposal.why,
        effect=proposal.effect,
    )


def _line_of(rule: Rule | None) -> str | None:
    return None if rule is None else format_rule(rule)
