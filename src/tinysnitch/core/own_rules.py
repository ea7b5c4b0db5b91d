"""Own rules: those that a user who decides only for their own processes may make, and take away again.

1. An own rule names its user, so that it says nothing of others' processes.
2. It holds nothing that makes the daemon read or try much: no pattern, no list, no sum of a file's content.
3. When it is made, it does not let pass what a rule of others denies, unless a rule of theirs in between asks or
   allows: being narrower it would win. Nothing in a line says who wrote it, so what others deny later does not end it.
4. Where it lets something pass, its paths go over no link but such as root alone can turn: else its user could
   lead it to another program after it was made. This holds for every rule that names a user, and at all times.
"""

from collections.abc import Iterable

from tinysnitch.core.facts import Facts
from tinysnitch.core.remote_words import RemoteWords
from tinysnitch.core.rule import ProgramKind, RemoteKind, Rule
from tinysnitch.core.scope import covers, covers_remote, is_narrower, resolve_rule
from tinysnitch.core.verdict import Verdict

MAX_OWN_RULES = 1000  # of one user
MAX_LENGTH = 16_384  # characters of a line


def is_own(rule: Rule, uid: int, facts: Facts) -> bool:
    """Whether a rule is for this user alone."""
    return rule.user is not None and (rule.user == str(uid) or facts.users.get(rule.user) == uid)


def find_excess(rule: Rule) -> str | None:
    """What an own rule may not hold, as it is called; None where there is no such thing."""
    if rule.program.kind is ProgramKind.GLOB:
        return "a pattern"
    if rule.remote.kind is RemoteKind.LIST:
        return "a list"
    return "sha256=" if rule.sha256 is not None else None


def has_turnable_path(rule: Rule, facts: Facts) -> bool:
    """Whether rule 4 is broken: such a rule matches nothing."""
    if rule.user is None or rule.verdict is Verdict.DENY:
        return False
    turnable = {ProgramKind.PATH: facts.turnable_links, ProgramKind.GLOB: facts.turnable_patterns}
    is_program = rule.program.text in turnable.get(rule.program.kind, ())
    return is_program or rule.parent in facts.turnable_links


def find_overruled(rule: Rule, others: Iterable[Rule], facts: Facts) -> Rule | None:
    """The first rule of others whose denial the rule would undo."""
    if rule.verdict is Verdict.DENY:
        return None
    words = RemoteWords(facts)
    wide = [other for other in others if covers_remote(other.remote, rule.remote, words)]  # few: the rest costs more
    scopes = [(other, resolve_rule(other, facts)) for other in wide]
    scope = resolve_rule(rule, facts)
    between = [other for _, other in scopes if other.verdict is not Verdict.DENY and covers(other, scope, words)]
    for other, denial in scopes:
        is_lifted = any(is_narrower(one, denial, words) for one in between)
        if denial.verdict is Verdict.DENY and is_narrower(scope, denial, words) and not is_lifted:
            return other
    return None
