"""How a decision reaches the kernel: the verdict is remembered, for a program or a flow; then the packets are released.

Rules: (1) the verdict is written before the packet is released, since the packet then walks the chain again; (2) a
decision that depends on more than the kernel's key (a person's answer for one connection, a prompt that nobody
answered, an interface, a flow of an unknown program) is remembered for that flow alone, and of these only a person's
answer outlives a change of the rules; (3) nothing is remembered longer than the rule or the name that it rests on: once
a name is gone other rules may match, and the connection is read for the name that it says itself; (4) a verdict of the
rules is remembered under the columns that it rests on, and no more (core/policy/columns.py).
"""

import math
from collections.abc import Iterator
from enum import Enum

from msgspec.structs import replace

from tinysnitch.core.engine.commands import Command, ForgetVerdicts, IssueVerdict, RememberFlow, RememberVerdict, Report
from tinysnitch.core.engine.events import PacketQueued
from tinysnitch.core.engine.open_prompts import HeldFlow
from tinysnitch.core.engine.records import ConnectionDecided
from tinysnitch.core.engine.verdict_cache import FlowVerdict, Remembered, VerdictCache
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import TCP, Direction, Flow
from tinysnitch.core.model.process import exec_id_of
from tinysnitch.core.model.settings import Settings
from tinysnitch.core.model.tables import BoundedTable, TableStatistics
from tinysnitch.core.model.verdict import Grain, Inspection, Mask, Verdict, VerdictKey, verdict_key_of
from tinysnitch.core.policy.active_rules import ActiveRules
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.prompts.negotiated_ports import NegotiatedPorts
from tinysnitch.core.rules.rule import Rule

# For a flow without a socket of its own that would tell its end, and for an answer that is meant for one SYN: longer
# than a SYN is sent again (tcp_syn_retries, 63 s and the wait for the last).
FLOW_LASTS_S = 120.0
NOT_LISTENING_S = 10.0  # for a denial since no program listens: one may start to
REPLIED_S = 10.0  # how long a reply may be held before it is judged, if the kernel's side did not recognise it
REFUSED_ANSWER_S = 60.0  # for a denial of one flow: after that people may be asked again


class Basis(Enum):
    """What a decision rests on, and so for which connections and how long it holds."""

    RULES = "rules"  # for all connections like this one
    # Nobody answered, or the name that decides has changed or may in a moment: for this flow, until the rules change.
    MOMENT = "moment"
    PERSON = "person"  # for this flow, whatever the rules say later


def _flow_limit(held: HeldFlow, decision: Decision, now: Instant, basis: Basis) -> float:
    """Boot-time seconds when the decision for a flow ends at the latest; infinite: with its socket."""
    connection = held.connection
    if not connection.attribution.is_listening:
        return now.boot_s + NOT_LISTENING_S
    if basis is not Basis.RULES and decision.verdict is Verdict.DENY:
        return now.boot_s + REFUSED_ANSWER_S
    # Inbound the cookie is the listening socket's, which outlives the connection.
    is_socket_of_flow = held.cookie and connection.flow.direction is Direction.OUTBOUND
    # A TCP socket may connect again between the same ends (AF_UNSPEC): an answer for once must not allow that.
    is_for_syn = basis is Basis.PERSON and connection.flow.protocol == TCP
    return math.inf if is_socket_of_flow and not is_for_syn else now.boot_s + FLOW_LASTS_S


def _end_of(decision: Decision, now: Instant) -> float:
    """Boot-time seconds when the first rule ends that took part, or the pause that lets it pass; infinite: none."""
    rule_s = math.inf if decision.until_s is None else now.boot_s + decision.until_s - now.wall_s
    return rule_s if decision.ends_s is None else min(rule_s, decision.ends_s)


class VerdictWriter:
    def __init__(self, settings: Settings, rules: ActiveRules) -> None:
        self._rules = rules  # for their generation
        self.cache = VerdictCache(settings.max_verdicts)
        self._flows: BoundedTable[Flow, FlowVerdict] = BoundedTable(settings.max_flows)
        self._inspected: set[Mask] = set()  # masks of the verdicts of this generation with an inspection
        self.negotiated_ports = NegotiatedPorts()

    def find_flow(self, event: PacketQueued, now: Instant) -> FlowVerdict | None:
        """The decision that this flow got a moment ago, if it holds for this packet."""
        known = self._flows.find(event.flow)
        return known if known and known.holds_for(event, self._rules.generation, now.boot_s) else None

    def is_reply(self, connection: Connection, now: Instant) -> bool:
        """Whether it answers a packet that was allowed a moment ago. A reply of TCP is never asked about."""
        flow = connection.flow
        if flow.protocol == TCP or flow.direction is Direction.OUTBOUND:
            return False
        asked = self._flows.find(replace(flow, direction=Direction.OUTBOUND))
        return (
            asked is not None
            and asked.decision.verdict is Verdict.ALLOW
            and asked.exec_id == exec_id_of(connection.attribution)
            and now.boot_s - asked.decided_s < REPLIED_S
        )

    def write(
        self,
        held: HeldFlow,
        decision: Decision,
        now: Instant,
        *,
        basis: Basis = Basis.RULES,
        inspection: Inspection = Inspection.NONE,
        common_until_s: float = 0.0,
    ) -> Iterator[Command]:
        """Remember a decision, release its packets, report it.

        `common_until_s`: until when all programs mean the same by the remote's address (core/dns/names.py).
        """
        connection, verdict, key = held.connection, decision.verdict, None
        ends_s = _end_of(decision, now)
        if basis is Basis.RULES:
            key = _key_for(connection, decision, is_common=now.boot_s < common_until_s)
            if decision.columns.name or decision.is_learned:  # infinite for a name of /etc/hosts, and without a name
                is_for_all = key is not None and key.grain is not Grain.EXEC
                ends_s = min(ends_s, common_until_s if is_for_all else connection.name_expires_s)
            if not decision.columns.remote and inspection is Inspection.GUARDED:
                inspection = Inspection.NONE  # no rule that may be about this program asks for its name
        is_cached = key is not None and self.cache.find(key, now.boot_s) is not None
        flow_ends_s = min(ends_s, _flow_limit(held, decision, now, basis))
        evicted = None
        if key is None:
            flow_verdict = self._put_flow(held, decision, now, basis, flow_ends_s, inspection)
            yield self._remember_flow(connection.flow, flow_verdict, flow_verdict.exec_id)
        else:
            expires_s = ends_s if ends_s < math.inf else None
            evicted = self.cache.put(key, Remembered(decision, expires_s))
            if inspection is not Inspection.NONE:
                self._inspected.add(key.mask)
            yield RememberVerdict(key, verdict, self._rules.generation, expires_s, inspection, decision.rule)
        for number, packet_id in enumerate(held.packet_ids):
            yield IssueVerdict(packet_id, verdict, follows=number > 0 and verdict is Verdict.ALLOW and held.is_talk)
        if key is not None:  # after the packets, which do not need it: their program waits
            self._put_flow(held, decision, now, basis, flow_ends_s, inspection)
        if evicted is not None:
            yield ForgetVerdicts((evicted,))
        yield Report(ConnectionDecided(connection, decision, is_cached, now.wall_s))

    def _put_flow(
        self,
        held: HeldFlow,
        decision: Decision,
        now: Instant,
        basis: Basis,
        ends_s: float,
        inspection: Inspection,
    ) -> FlowVerdict:
        connection = held.connection
        flow = connection.flow
        # Rules may differ for another interface. Not so inbound, since a remote cannot choose one.
        is_tied = (decision.is_flow_only or held.is_tied) and flow.direction is Direction.OUTBOUND
        flow_verdict = FlowVerdict(
            decision=decision,
            cookie=held.cookie,
            exec_id=exec_id_of(connection.attribution),
            decided_s=now.boot_s,
            generation=self._rules.generation,
            expires_s=ends_s if ends_s < math.inf else None,
            is_answer=basis is Basis.PERSON,
            tied_to=held.interface_index if is_tied else 0,
            inspection=inspection,
        )
        self._flows.put(flow, flow_verdict)
        if decision.verdict is Verdict.ALLOW:
            self.negotiated_ports.note(connection)
        return flow_verdict

    def repeat(self, event: PacketQueued, flow_verdict: FlowVerdict) -> Iterator[Command]:
        """Give a further packet of the flow the same verdict, which the kernel did not remember any more."""
        yield self._remember_flow(event.flow, flow_verdict, exec_id_of(event.attribution))
        yield IssueVerdict(event.packet_id, flow_verdict.decision.verdict)

    def end_inspection(self, connection: Connection, now: Instant) -> Iterator[Command]:
        """The name was read: remember the verdict without an inspection, so that connections like this one are not."""
        for mask in self._inspected:
            key = verdict_key_of(connection, mask)
            remembered = self.cache.find(key, now.boot_s) if key else None
            if key and remembered and remembered.decision.verdict is Verdict.ALLOW:
                rule = remembered.decision.rule
                yield RememberVerdict(key, Verdict.ALLOW, self._rules.generation, remembered.expires_s, rule=rule)

    def clear(self) -> None:
        """Forget all verdicts, which are stale in the kernel since the rules have another generation."""
        self.cache.clear()
        self._inspected.clear()

    def forget_answers(self, rules: frozenset[Rule]) -> None:
        """Forget which flows people gave a verdict by these rules: their next packet is decided anew."""
        for flow, known in list(self._flows.items()):
            if known.is_answer and known.decision.rule in rules:
                self._flows.pop(flow)

    def tables(self) -> dict[str, TableStatistics]:
        return {"verdicts": self.cache.statistics(), "flows": self._flows.statistics()}

    def _remember_flow(self, flow: Flow, known: FlowVerdict, exec_id: int) -> RememberFlow:
        decision, generation = known.decision, self._rules.generation
        return RememberFlow(
            flow,
            decision.verdict,
            generation,
            known.expires_s,
            known.inspection,
            exec_id,
            known.tied_to,
            decision.rule,
        )


def _key_for(connection: Connection, decision: Decision, *, is_common: bool) -> VerdictKey | None:
    """The key of the connections that are alike in the columns that the decision rests on; None: there is none. What
    one exec alone has, or several grains tell, is by the exec. `is_common`: all programs mean the same by the remote's
    address."""
    columns, process = decision.columns, connection.attribution.process
    if decision.is_flow_only:
        return None
    if decision.is_learned:  # each is noted as a rule of its own
        return verdict_key_of(connection)
    if process is None or columns.exec or (columns.name and not is_common) or (columns.args and columns.parent):
        grain = Grain.EXEC
    elif columns.parent:
        grain = Grain.LINEAGE
    elif columns.args or not process.grains.file:
        grain = Grain.ARGS
    else:
        grain = Grain.FILE
    mask = Mask(grain, columns.remote, columns.port)
    return verdict_key_of(connection, mask) or verdict_key_of(connection, replace(mask, grain=Grain.EXEC))
