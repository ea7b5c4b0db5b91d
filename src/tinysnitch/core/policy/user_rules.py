"""Own rules: the rules that a user without rights over others' processes may make, and take away again.

1. An own rule has the user's own `user=`, so that it matches no process of others.
2. It has nothing that costs the daemon much: no pattern, no list, no sum of a file's content, not many ports.
3. It may not undo a denial: it is refused if it allows or asks, and would win over a rule of others that denies, being
   narrower; unless a rule of others that covers it, and is narrower than the denial itself, asks or allows. This is
   checked when it is made. No line says who wrote it, so what others deny later does not end it.
4. If it allows or asks, its paths may lead only over links that root alone can change; otherwise its user could make it
   a rule for another program later. This holds for every rule that names a user, and at all times.
"""

from collections.abc import Iterable

from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.facts import Facts, RemoteWords
from tinysnitch.core.policy.precedence import covers, covers_remote, is_narrower, resolve_rule
from tinysnitch.core.rules.rule import ProgramKind, RemoteKind, Rule

MAX_OWN_RULES = 1000  # of one user
MAX_LENGTH = 16_384  # characters of a line
MAX_PORT_RANGES = 16


def is_own(rule: Rule, uid: int, facts: Facts) -> bool:
    """Whether a rule is for this user alone."""
    return rule.user is not None and (rule.user == str(uid) or facts.users.get(rule.user) == uid)


def find_excess(rule: Rule) -> str | None:
    """What the rule has that an own rule may not have, in words for a message; None if it has no such thing."""
    if rule.program.kind is ProgramKind.GLOB:
        return "a pattern"
    if rule.remote.kind is RemoteKind.LIST:
        return "a list"
    if len(rule.ports) > MAX_PORT_RANGES:
        return f"more than {MAX_PORT_RANGES} port ranges"
    return "sha256=" if rule.sha256 is not None else None


def has_turnable_path(rule: Rule, facts: Facts) -> bool:
    """Whether the rule breaks (4): then it matches nothing."""
    if rule.user is None or rule.verdict is Verdict.DENY:
        return False
    turnable = {ProgramKind.PATH: facts.turnable_links, ProgramKind.GLOB: facts.turnable_patterns}
    is_program = rule.program.text in turnable.get(rule.program.kind, ())
    return is_program or rule.parent in facts.turnable_links


def find_overruled(rule: Rule, others: Iterable[Rule], facts: Facts) -> Rule | None:
    """The first rule of others whose denial this rule would undo (3); None: it undoes none."""
    if rule.verdict is Verdict.DENY:
        return None
    words = RemoteWords(facts)
    wide = [other for other in others if covers_remote(other.remote, rule.remote, words)]  # few: the rest costs more
    scopes = [(other, resolve_rule(other, facts)) for other in wide]
    scope = resolve_rule(rule, facts)
    between = [other for _, other in scopes if other.verdict is not Verdict.DENY and covers(other, scope, words)]
    for other, denial in scopes:
        would_lose = denial.verdict is Verdict.DENY and is_narrower(scope, denial, words)
        if would_lose and not any(is_narrower(one, denial, words) for one in between):
            return other
    return None
