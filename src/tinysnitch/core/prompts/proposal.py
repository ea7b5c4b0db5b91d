"""What a prompt proposes first: nine minutes, this name and port, and the program, whatever its arguments.

A program that is what its file is (curl, ssh, a browser, a script) has other arguments each time: with these a rule
would match once, and people would be asked again and again. The exception are programs whose arguments say what they
run: interpreters without a script, and shells. For such a one the rule is for these arguments, or, if it is a worker,
for what its starter starts (core/prompts/catalogue.py).

What else will be different the next time is left open, too:

1. A port that the kernel chose. If a program asks the whole link over UDP (SSDP, say), each machine that answers is a
   question of its own; browsers use another port two minutes later. The same holds for a service that answers what was
   asked on the link (Avahi, say): the question went to the group, so the answer is a flow of its own.
2. Ports that are counted up, one for each probe or session, and ports that were told at another one, as for FTP
   (negotiated_ports.py).

For a service's talk on the link the first proposal is `lan` (core/prompts/lan_traffic.py).

Where earlier answers agree, the proposal is wider than the question (core/prompts/learned_proposal.py).

What observe mode makes of a connection: the rule that a prompt would propose, and a wider one. A server has other
clients tomorrow. One connection does not show that: it gets a rule of its own. Once many such rules differ in nothing
else, a wider one takes their place.
"""

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import UDP, Direction
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.active_rules import ActiveRules
from tinysnitch.core.prompts.answer import bounded, rule_for_choice
from tinysnitch.core.prompts.choice import Choice, Lifetime, RemoteScope
from tinysnitch.core.prompts.lan_traffic import KERNELS_PORTS
from tinysnitch.core.prompts.learned_proposal import learn_proposal
from tinysnitch.core.rules.rule import RemoteKind, Rule

_PROBED_PORTS = range(33434, 33534)  # traceroute(8): three probes for each of 30 hops, and room for a few more


class Proposal(msgspec.Struct, frozen=True):
    choice: Choice
    widened: str = ""  # why it covers more than its question; "" if it does not
    alone: Choice | None = None  # if it is widened: that for the question alone, and for the other verdict


def propose_by_answers(connection: Connection, rules: ActiveRules, now: Instant) -> Proposal:
    """What is proposed where no rule asks: wider than the question where earlier answers agree."""
    alone = propose(connection)
    learned = learn_proposal(connection, alone.choice, rules, now)
    return Proposal(learned.choice, learned.reason, alone.choice) if learned else alone


def propose(connection: Connection) -> Proposal:
    return Proposal(bounded(connection, choose_first(connection)))


def choose_first(connection: Connection) -> Choice:
    return Choice(
        verdict=Verdict.ALLOW,
        remote=RemoteScope.DOMAIN if connection.is_lan_traffic else RemoteScope.NAME,
        any_port=connection.is_port_negotiated or _is_port_of_the_moment(connection),
        any_args=_is_for_any_args(connection),
    )


def choose_first_for_ever(connection: Connection) -> Choice:
    return replace(choose_first(connection), lifetime=Lifetime.FOREVER)


def _is_for_any_args(connection: Connection) -> bool:
    traits, asking = connection.traits, connection.asking
    if connection.attribution.process is None or asking.is_by_args:
        return False
    # A rule has one parent. If the rule that asks has another one, that may have started more than these workers.
    is_worker = traits.starter is not None and asking.parent in (None, traits.starter)
    return is_worker or traits.is_its_file


def _is_port_of_the_moment(connection: Connection) -> bool:
    flow = connection.flow
    if flow.protocol != UDP or connection.attribution.process is None:
        return False
    if flow.direction is Direction.INBOUND:
        return flow.local_port in KERNELS_PORTS
    is_answer = flow.remote_port in KERNELS_PORTS and flow.local_port not in KERNELS_PORTS
    return is_answer or flow.remote_port in _PROBED_PORTS or connection.traits.counts_ports


def learn_rule(connection: Connection, asked_by: Rule | None, wall_s: float) -> tuple[Rule, tuple[Rule, ...]]:
    """The rule, and wider ones; none if a rule asks (`asked_by`), since they might not be narrower than that."""
    choice = choose_first_for_ever(connection)
    rule = rule_for_choice(connection, choice, wall_s)
    wider = () if asked_by else _widen(connection, rule, choice)
    return rule, tuple(rule_for_choice(connection, each, wall_s) for each in wider)


def _widen(connection: Connection, rule: Rule, choice: Choice) -> Iterator[Choice]:
    if rule.remote.kind is RemoteKind.NETWORK:
        scope = RemoteScope.DOMAIN if connection.is_from_lan else RemoteScope.ANY
        yield replace(choice, remote=scope)
