"""What a proposal learns from earlier answers, so that a program is not asked about for each name of a site.

The answers are the rules in force that name the program; nothing else is remembered. A question proposes a wider rule,
and says why, where such rules agree:

1. Two remotes of the question's registrable domain were answered alike: the domain. For talk on the link: `lan`.
2. Remotes of three registrable domains were answered alike on this port: any remote on it. An address without a name
   counts as a domain, and all of the lan as one.

Alike means: the rule differs from the one that this question would get in the remote alone, or covers one that does. So
it has the same program and verdict, this port and this user or any, and is not for a worker of another program.
Arguments are not learned: a proposal has them only where they are the program (`python3 -c`), and there they stay.

What is learned is for the verdict that was given; the other verdict is for this question alone. It is never wider than
what was answered otherwise:

3. No rule of another verdict that names the program may overlap the wider rule.
4. A wider rule that denies may overlap no rule that allows or asks, whatever its program, as it would win over it. One
   that allows needs no such look: it wins only over rules that cover it, these would match the connection, and then
   nobody would be asked. For that reason nothing is learned where a rule asks.

A program chooses the names that it connects to, but not what is answered. So a name that was only asked about teaches
nothing, and neither does an answer for once, which leaves no rule.
"""

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.domain import find_registrable_domain
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.active_rules import ActiveRules
from tinysnitch.core.policy.facts import RemoteWords
from tinysnitch.core.policy.precedence import covers, covers_remote, may_overlap, resolve_rule
from tinysnitch.core.prompts.answer import args_of_rule, can_be_remembered, is_by_link, rule_for_choice
from tinysnitch.core.prompts.choice import Choice, Lifetime, RemoteScope
from tinysnitch.core.rules.remote_column import format_remote
from tinysnitch.core.rules.rule import LAN, Remote, RemoteKind, Rule

_OF_DOMAIN, _OF_ANY = 2, 3  # remotes answered alike that teach the domain; domains that teach any remote
_TAUGHT_BY = (RemoteKind.NAME, RemoteKind.DOMAIN, RemoteKind.NETWORK, RemoteKind.LAN)  # as answers have them
_WERE = {Verdict.ALLOW: "allowed", Verdict.DENY: "denied"}


class Learned(msgspec.Struct, frozen=True):
    """A proposal that covers more than the question, for the verdict of its choice alone."""

    choice: Choice
    reason: str  # names and addresses in it are as the program and its resolver gave them


def learn_proposal(connection: Connection, first: Choice, rules: ActiveRules, now: Instant) -> Learned | None:
    """`first`: the proposal for this question alone, where no rule asks. None: nothing is learned."""
    if connection.attribution.process is None or not can_be_remembered(connection):
        return None
    about = rules.find_about(connection, now)
    if not about:  # as for most programs; or more rules than are looked at
        return None
    lesson = _Lesson(connection, first, about, rules, now)
    verdicts = [verdict for verdict in _WERE if any(rule.verdict is verdict for rule in about)]
    users = {first.is_for_user, True} if any(rule.user for rule in about) else {first.is_for_user}
    found = (lesson.find(verdict, is_for_user=is_for_user) for verdict in verdicts for is_for_user in sorted(users))
    return next(filter(None, found), None)


class _Lesson:
    """What one connection learns from the rules about its program, compared with paths and users resolved."""

    def __init__(
        self, connection: Connection, first: Choice, about: list[Rule], rules: ActiveRules, now: Instant
    ) -> None:
        self._connection, self._first, self._rules, self._now = connection, first, rules, now
        self._words: RemoteWords = rules.remote_words
        self._about = self._resolved(about)

    def find(self, verdict: Verdict, *, is_for_user: bool) -> Learned | None:
        choice = replace(self._first, verdict=verdict, is_for_user=is_for_user)
        narrow = self._rule_of(choice)
        alike = [rule for rule in self._about if rule.verdict is verdict and rule.program == narrow.program]
        for wider, reason in self._widen(choice, narrow, alike):
            if not self._is_contradicted(self._rule_of(wider)):
                return Learned(wider, f"{reason} {_WERE[verdict]}")
        return None

    def _widen(self, choice: Choice, narrow: Rule, alike: list[Rule]) -> Iterator[tuple[Choice, str]]:
        """Wider choices, the narrowest first, each with its reason but for the last word."""
        taught = [rule.remote for rule in alike if covers(rule, replace(narrow, remote=rule.remote), self._words)]
        taught = [remote for remote in dict.fromkeys(taught) if remote.kind in _TAUGHT_BY]
        wide = replace(choice, remote=RemoteScope.DOMAIN)
        domain = self._rule_of(wide).remote
        within = [format_remote(remote) for remote in taught if covers_remote(domain, remote, self._words)]
        if len(within) >= _OF_DOMAIN and domain != narrow.remote and self._is_domain_learned():
            of = "the lan" if domain == LAN else domain.text
            yield wide, f"for all of {of}, since {_join(within[-_OF_DOMAIN:])} were"
        owned: dict[str, str] = {}  # the latest remote of each owner
        for remote in reversed(taught):
            owned.setdefault(self._owner_of(remote), format_remote(remote))
            if len(owned) == _OF_ANY:
                port = f" on port {self._connection.flow.port}" if narrow.ports else ""
                told = _join(list(reversed(owned.values())))
                yield replace(choice, remote=RemoteScope.ANY), f"for any remote{port}, since {told} were"
                return

    def _is_contradicted(self, wide: Rule) -> bool:
        """Whether rules of another verdict are in the way, by (3) and (4); or too many to look at."""
        about = self._about
        if wide.verdict is Verdict.DENY:
            found = self._rules.find_about(self._connection, self._now, any_program=True)
            if found is None:
                return True
            about = self._resolved(found)
        return any(rule.verdict is not wide.verdict and may_overlap(wide, rule, self._words) for rule in about)

    def _is_domain_learned(self) -> bool:
        """Not where the rule goes by the address, since the name is another program's question."""
        return is_by_link(self._connection, RemoteScope.DOMAIN) or not self._connection.asking.is_by_address

    def _owner_of(self, remote: Remote) -> str:
        """The same for all remotes of a registrable domain, and for all of the lan."""
        if covers_remote(LAN, remote, self._words):
            return format_remote(LAN)
        is_address = remote.kind is RemoteKind.NETWORK
        return remote.text if is_address else find_registrable_domain(remote.text) or remote.text

    def _rule_of(self, choice: Choice) -> Rule:
        """With its arguments, which a rule that ends with the process may leave out."""
        lasting = replace(choice, lifetime=Lifetime.FOREVER) if choice.lifetime is Lifetime.QUIT else choice
        return self._resolved([rule_for_choice(self._connection, lasting, self._now.wall_s)])[0]

    def _resolved(self, rules: list[Rule]) -> list[Rule]:
        """The rules as if they ended with no process: an answer of the process before teaches as much. But not where
        arguments are the program: a rule that leaves them out is for that one start."""
        has_any_args = args_of_rule(self._connection, replace(self._first, lifetime=Lifetime.FOREVER)) is None
        return [
            resolve_rule(replace(rule, exec_id=None) if rule.args or has_any_args else rule, self._rules.facts)
            for rule in rules
        ]


def _join(texts: list[str]) -> str:
    return f"{', '.join(texts[:-1])} and {texts[-1]}"
