"""Which of two rules takes precedence: the narrower, else by verdict. Scope: the connections that its columns match.

1. A scope covers another if each of its columns covers the other's: it is the same set, or contains it.
2. localhost, lan and a list cover the names, domains, addresses and networks that lie wholly in them now.
   They themselves are covered by `-`, and each by itself; whether one of them lies in another is not checked.
3. A rule is narrower than another if the other's scope covers its own, but not the other way round;
   and if both scopes are the same, but it is temporary and the other permanent.
4. Two scopes may overlap unless a column of one rules the other's out. A name and an address do: that a name may get
   any address is left out of it. Parents, sums, interfaces and processes do not.
Rules are compared with paths and users resolved (resolve_rule), so that two spellings of a program are one scope.
"""

from bisect import bisect_right
from operator import itemgetter

from msgspec.structs import replace

from tinysnitch.core.model.domain import is_within
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.facts import WORDS, Facts, RemoteWords
from tinysnitch.core.rules.network import parse_network
from tinysnitch.core.rules.path_pattern import covers_pattern, escape_pattern
from tinysnitch.core.rules.rule import PortRange, Program, ProgramKind, Remote, RemoteKind, Rule
from tinysnitch.core.rules.rule_line import format_rule

_BY_NAME = (RemoteKind.NAME, RemoteKind.DOMAIN)
_RANKS = {Verdict.DENY: 0, Verdict.ASK: 1, Verdict.ALLOW: 2}  # the lowest wins


def find_winner(rules: list[Rule]) -> Rule:
    """Of rules of which none is narrower than another: deny beats ask, and ask allow; then the text decides."""
    rank = min(_RANKS[rule.verdict] for rule in rules)
    equals = [rule for rule in rules if _RANKS[rule.verdict] == rank]
    return equals[0] if len(equals) == 1 else min(equals, key=format_rule)


def is_narrower(rule: Rule, other: Rule, words: RemoteWords) -> bool:
    """A strict partial order, as long as the words mean the same."""
    if not covers(other, rule, words):
        return False
    return not covers(rule, other, words) or (rule.is_temporary and not other.is_temporary)


def covers(wide: Rule, narrow: Rule, words: RemoteWords) -> bool:
    """Whether `wide` matches every connection that `narrow` does. Verdict and end do not matter."""
    return (
        wide.direction is narrow.direction
        and _is_open_or_same(wide.protocol, narrow.protocol)
        and covers_remote(wide.remote, narrow.remote, words)
        and covers_program(wide.program, narrow.program)
        and _covers_ports(wide.ports, narrow.ports)
        and _is_open_or_same(wide.args, narrow.args)
        and _is_open_or_same(wide.user, narrow.user)
        and _is_open_or_same(wide.parent, narrow.parent)
        and _is_open_or_same(wide.sha256, narrow.sha256)
        and _is_open_or_same(wide.iface, narrow.iface)
        and _is_open_or_same(wide.exec_id, narrow.exec_id)
    )


def may_overlap(rule: Rule, other: Rule, words: RemoteWords) -> bool:
    """Whether some connection of a program that both are about may match both (4)."""
    return (
        rule.direction is other.direction
        and _is_open_or_shared(rule.protocol, other.protocol)
        and _is_open_or_shared(rule.args, other.args)
        and _is_open_or_shared(rule.user, other.user)
        and _may_share_port(rule.ports, other.ports)
        and _may_share_remote(rule.remote, other.remote, words)
    )


def _is_open_or_shared(one: object, other: object) -> bool:
    return one is None or other is None or one == other


def _may_share_port(ports: tuple[PortRange, ...], others: tuple[PortRange, ...]) -> bool:
    shared = (first <= end and start <= last for first, last in ports for start, end in others)
    return not ports or not others or any(shared)


def _may_share_remote(one: Remote, other: Remote, words: RemoteWords) -> bool:
    if covers_remote(one, other, words) or covers_remote(other, one, words):
        return True
    if one.kind in _BY_NAME or other.kind in _BY_NAME:
        return RemoteKind.LIST in (one.kind, other.kind)
    return one.kind in WORDS or other.kind in WORDS


def _is_open_or_same(wide: object, narrow: object) -> bool:
    return wide is None or wide == narrow


def covers_remote(wide: Remote, narrow: Remote, words: RemoteWords) -> bool:
    if wide.kind is RemoteKind.ANY or wide == narrow:
        return True
    if wide.kind in WORDS:
        return words.covers(wide, narrow)
    if wide.kind is RemoteKind.DOMAIN and narrow.kind in (RemoteKind.NAME, RemoteKind.DOMAIN):
        return is_within(narrow.text, wide.text)
    if wide.kind is RemoteKind.NETWORK and narrow.kind is RemoteKind.NETWORK:
        return parse_network(wide.text).contains(parse_network(narrow.text))
    return False


def _covers_ports(wide: tuple[PortRange, ...], narrow: tuple[PortRange, ...]) -> bool:
    """Ranges are sorted and merged, so a range of `narrow` that `wide` covers lies wholly in one of its ranges."""
    if not wide or wide == narrow:
        return True
    return bool(narrow) and all(_has_range(wide, first, last) for first, last in narrow)


def _has_range(ports: tuple[PortRange, ...], first: int, last: int) -> bool:
    """Whether one range holds these ports. A search, since users can make rules with thousands of ranges."""
    place = bisect_right(ports, first, key=itemgetter(0)) - 1
    return place >= 0 and last <= ports[place][1]


def covers_program(wide: Program, narrow: Program) -> bool:
    if wide.kind is ProgramKind.ANY:
        return True
    if wide.kind is ProgramKind.GLOB and narrow.kind is ProgramKind.PATH:
        return covers_pattern(wide.text, escape_pattern(narrow.text))
    if wide.kind is ProgramKind.GLOB and narrow.kind is ProgramKind.GLOB:
        return covers_pattern(wide.text, narrow.text)
    return wide == narrow


def resolve_rule(rule: Rule, facts: Facts) -> Rule:
    """The rule with links in its paths followed, and its user as a uid."""
    program, parent, user = rule.program, rule.parent, rule.user
    if program.kind is ProgramKind.PATH and program.text in facts.links:
        program = Program(ProgramKind.PATH, facts.links[program.text])
    elif program.kind is ProgramKind.GLOB and program.text in facts.patterns:
        program = Program(ProgramKind.GLOB, facts.patterns[program.text])
    if parent is not None:
        parent = facts.links.get(parent, parent)
    if user is not None and user in facts.users:
        user = str(facts.users[user])
    if (program, parent, user) == (rule.program, rule.parent, rule.user):
        return rule
    return replace(rule, program=program, parent=parent, user=user)
