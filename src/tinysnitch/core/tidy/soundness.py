"""What may stand in the place of what: the rules by which nothing that is decided is decided otherwise.

The new rule has the same verdict as the old ones, and covers them. Two things are looked at, with every rule of another
verdict, which may be stricter (deny before ask, ask before allow) or laxer:

1. What the old rules decided is decided alike (`replaces`). A stricter rule over which an old one wins, being narrower,
   has to lose to the new one too. A laxer rule that wins over the new one has to win over each old one that it meets.
2. Where none of the old rules matches, the new one decides only what no rule decided (`is_free`). It is narrower than
   no stricter rule. A laxer rule that it meets is narrower than it.

Rules of the same verdict change nothing. Rules that end (`until=`, or with a process) are neither replaced nor a reason
to drop others. Left out of account is that of more than MAX_COMPARED rules for one connection none is dropped as the
wider one (core/policy/ruleset.py, 5).
"""

from collections.abc import Collection, Iterator
from itertools import chain

from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.precedence import is_narrower
from tinysnitch.core.policy.user_rules import has_turnable_path
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import format_rule
from tinysnitch.core.tidy.scope_index import Scoped, ScopeIndex

_STRICTNESS = {Verdict.ALLOW: 0, Verdict.ASK: 1, Verdict.DENY: 2}


def is_lasting(rule: Rule, index: ScopeIndex) -> bool:
    """Whether the rule holds for ever, and matches anything at all (core/policy/user_rules.py, 4)."""
    return not rule.is_temporary and not has_turnable_path(rule, index.facts)


def replaces(new: Rule, old: Rule, index: ScopeIndex) -> bool:
    """Whether what the old rule decided is decided alike if the new one, which covers it, stands in its place (1).
    Both resolved."""
    words = index.words
    if old.verdict is not Verdict.DENY:
        stricter = (each.scope for each in index.covering(old) if _is_stricter(each.scope, old))
        if any(not is_narrower(new, each, words) for each in stricter):
            return False
    laxer = (each.scope for each in _laxer_than(old, index))
    return all(is_narrower(each, old, words) or not is_narrower(each, new, words) for each in laxer)


def is_free(new: Rule, index: ScopeIndex) -> bool:
    """Whether the new rule, which is resolved, decides nothing that a rule of another verdict decides (2)."""
    if any(_is_stricter(each.scope, new) for each in index.covering(new)):
        return False
    return all(is_narrower(each.scope, new, index.words) for each in _laxer_than(new, index))


def is_missed_by_none(rule: Rule, index: ScopeIndex) -> bool:
    """Whether a laxer rule cannot let pass what this one, which is resolved, decided: then it can be dropped."""
    return next(_laxer_than(rule, index), None) is None


def find_cover(rule: Rule, index: ScopeIndex, *, besides: Collection[Rule] = (), is_among: bool = True) -> Rule | None:
    """A lasting rule that says the same, so that this one can go. `besides`: rules that will go themselves. `is_among`:
    the rule is in the index itself; then of two of the same scope the one whose line sorts first stays."""
    scope = index.resolve(rule)
    for each in index.covering(scope):
        if each.scope.verdict is not scope.verdict or each.rule in besides or not is_lasting(each.rule, index):
            continue
        is_left = not is_among or is_narrower(scope, each.scope, index.words) or _sorts_before(each.rule, rule)
        if is_left and replaces(each.scope, scope, index):
            return each.rule
    return None


def _laxer_than(scope: Rule, index: ScopeIndex) -> Iterator[Scoped]:
    """The laxer rules that it may meet."""
    laxer = (verdict for verdict, strictness in _STRICTNESS.items() if strictness < _STRICTNESS[scope.verdict])
    return chain.from_iterable(index.overlapping(scope, verdict) for verdict in laxer)


def _is_stricter(one: Rule, other: Rule) -> bool:
    return _STRICTNESS[one.verdict] > _STRICTNESS[other.verdict]


def _sorts_before(one: Rule, other: Rule) -> bool:
    return one != other and format_rule(one) < format_rule(other)
