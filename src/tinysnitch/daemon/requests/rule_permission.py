"""Which rules a client may add and remove: all of them, or those of its own user (core/policy/user_rules.py).
And who may set the mode, which is as much as a rule for everybody.

Limits how many changes a user with the right for their own processes may make: each one writes and reads files.

Time is an argument: boot-time seconds.
"""

from tinysnitch.core.model.errors import NotPermitted, SnitchError
from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.core.policy.active_rules import ActiveRules
from tinysnitch.core.policy.user_rules import (
    MAX_LENGTH,
    MAX_OWN_RULES,
    find_excess,
    find_overruled,
    has_turnable_path,
    is_own,
)
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import format_rule
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.daemon.scheduling.timers import Pace


def may_see_rule(rule: Rule, right: Right, rules: ActiveRules) -> bool:
    return right.sees_all or is_own(rule, right.uid, rules.facts)


def check_sees_all(right: Right, what: str) -> None:
    """Raise NotPermitted for a user with the right for their own processes."""
    if not right.sees_all:
        raise NotPermitted(f"user {right.uid} may not {what}", "ask root: a group is for all users")


def check_owner(rule: Rule, right: Right, rules: ActiveRules) -> None:
    """Raise NotPermitted when the rule is not for this client's user alone."""
    if not may_see_rule(rule, right, rules):
        hint = f"write user={right.uid} behind the verdict: {rule.verdict.value} user={right.uid} ..."
        raise NotPermitted(f"a rule of user {right.uid} must be for user {right.uid} alone", hint)


def check_new_rule(rule: Rule, right: Right, rules: ActiveRules) -> None:
    """Raise SnitchError when the client may not add the rule.

    The facts must know the rule's words, unless it has something that no rule of a user may have (`find_excess`).
    """
    if right.sees_all:
        return
    excess = find_excess(rule)
    if excess:
        raise NotPermitted(f"a rule of user {right.uid} can't have {excess}", "write each thing out, or ask root")
    check_owner(rule, right, rules)
    if has_turnable_path(rule, rules.facts):
        problem = f"a rule of user {right.uid} can't have a path over a link that others than root can change"
        raise NotPermitted(problem, "write the path of the file that it leads to")
    if len(format_rule(rule)) > MAX_LENGTH:
        raise SnitchError(f"the rule is longer than {MAX_LENGTH} characters", "leave its arguments out")
    if sum(is_own(each, right.uid, rules.facts) for each in rules) >= MAX_OWN_RULES:
        raise SnitchError(
            f"user {right.uid} has {MAX_OWN_RULES} rules already", "`tinysnitch rules remove` takes one away"
        )
    others = (each for each in rules if not is_own(each, right.uid, rules.facts))
    overruled = find_overruled(rule, others, rules.facts)
    if overruled:
        problem = f"it would overrule a rule that is not yours: {format_rule(overruled)}"
        raise NotPermitted(problem, "ask root to add it")


def check_mode(right: Right) -> None:
    """Raise NotPermitted when the client may not have what no rule covers decided for everybody."""
    if not right.sees_all:
        problem = f"user {right.uid} may not decide for everybody what becomes of connections that no rule covers"
        raise NotPermitted(problem, "ask root; `tinysnitchd --admin` names who else may")


BURST = 100  # changes at once: a page may ask for many connections, answered together
EACH_S = 0.5  # seconds until one further change is free
_USERS = 256


class ChangeBudget:
    def __init__(self) -> None:
        self._paces: BoundedTable[int, Pace] = BoundedTable(_USERS)  # by uid

    def spend(self, uid: int, now_s: float) -> None:
        """Count one change of this user. Raises SnitchError when there were too many."""
        pace = self._paces.find(uid) or Pace(burst=BURST, each_s=EACH_S)
        self._paces.put(uid, pace)
        if not pace.may_go(now_s):
            raise SnitchError(f"user {uid} changes too much at once", f"wait {EACH_S:g} s for each further change")
