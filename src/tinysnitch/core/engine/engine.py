"""The engine decides: facts go in by one door, requests come out. It never reads a socket, a clock or a file.

For a packet it asks in turn: is its flow settled, or waiting already? What do the rules say? What do people say? When
the rules change, what waits is decided again.
"""

import math
from collections.abc import Iterator
from itertools import chain
from typing import assert_never

import msgspec

from tinysnitch.core.dns.names import HasEnded, nobody_has_ended
from tinysnitch.core.dns.tracker import DnsTracker
from tinysnitch.core.engine import events as ev
from tinysnitch.core.engine.commands import (
    AppendRule,
    ChangeMode,
    Command,
    DropPacket,
    ForgetVerdicts,
    KeepTemporaryRules,
    NoteNames,
    PassMessage,
    Report,
    SetGeneration,
    ShowPrompt,
    SkipInspection,
    WatchProcess,
)
from tinysnitch.core.engine.open_prompts import HeldFlow, OpenPrompt, Prompts
from tinysnitch.core.engine.records import LossCounted, ModeChanged, PromptOpened, RulesReplaced
from tinysnitch.core.engine.server_name_check import ServerNameCheck
from tinysnitch.core.engine.verdict_writer import Basis, VerdictWriter
from tinysnitch.core.model.asking_mode import ASKING, OBSERVING, AskingMode
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import Direction, Flow
from tinysnitch.core.model.process import Attribution, ProcessKey, exec_id_of
from tinysnitch.core.model.settings import Settings
from tinysnitch.core.model.verdict import Inspection, Verdict
from tinysnitch.core.policy.active_rules import ActiveRules
from tinysnitch.core.policy.decision import (
    ANSWERED_ONCE,
    ANSWERED_UNTIL,
    NO_ANSWER,
    Decision,
    because_of,
    deny_unanswered,
    is_covered_by,
    let_pass,
)
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.prompts.answer import ends_with, is_rule_kept, refusal_to_remember, rule_for_choice
from tinysnitch.core.prompts.asking import with_asking
from tinysnitch.core.prompts.catalogue import NO_CATALOGUE, Catalogue
from tinysnitch.core.prompts.choice import Lifetime
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.core.prompts.proposal import Proposal, propose, propose_by_answers
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.tls.quic_initial import Cipher
from tinysnitch.core.tls.server_names import ServerNameReader

_REPLY = Decision(verdict=Verdict.ALLOW, reason="it answers what was allowed", is_flow_only=True)


class Engine:
    def __init__(
        self,
        settings: Settings,
        facts: Facts,
        generation: int = 1,
        *,
        catalogue: Catalogue = NO_CATALOGUE,
        cipher: Cipher | None = None,
        has_ended: HasEnded = nobody_has_ended,
    ) -> None:
        """`generation`: the number after the one that the kernel's verdicts carry now. `cipher`: to read QUIC."""
        self.settings = settings
        self.rules = ActiveRules(facts, generation)
        self.dns = DnsTracker(settings, facts, has_ended)
        self.prompts = Prompts(settings, self._propose)
        self.verdict_writer = VerdictWriter(settings, self.rules)
        self._set_catalogue(catalogue)
        self.server_names = ServerNameCheck(
            self.rules, self.verdict_writer, ServerNameReader(settings.max_inspections, cipher)
        )
        self._clients: dict[int, int | None] = {}  # prompt client → the uid whose questions it is shown; None: all
        self._is_file_broken = False
        self.mode = OBSERVING if settings.is_learning else ASKING

    def handle(self, event: ev.Event, now: Instant) -> Iterator[Command]:
        """The one door. Iterate to the end: the state changes as the commands come out."""
        match event:
            case ev.PacketQueued():
                return self._packet_queued(event, now)
            case ev.QuestionSent():
                return self._question_sent(event, now)
            case ev.AnswerReceived():
                return self._answer_received(event, now)
            case ev.LookUpsTold():
                return self._look_ups_told(event, now)
            case ev.DataSent():
                connection = self.connection_of(event.flow, event.attribution, event.interface, now)
                return self.server_names.read(event, connection, now)
            case ev.AnswerGiven():
                return self._answer_given(event, now)
            case ev.PromptTended(prompt_id=prompt_id):
                return self._renew(prompt_id, now)
            case ev.PastFound():
                return self._show_past(event, now)
            case ev.ClientAttached(client_id=client_id, uid=uid):
                self._clients[client_id] = uid
                return iter(())
            case ev.ClientDetached(client_id=client_id):
                self._clients.pop(client_id, None)
                return iter(())
            case ev.RulesLoaded():
                return self._rules_loaded(event, now)
            case ev.AnswersTakenBack():
                return self._take_back(event, now)
            case ev.FactsChanged(facts=facts):
                return self._facts_changed(facts, now)
            case ev.CatalogueLoaded(catalogue=catalogue):
                self._set_catalogue(catalogue)
                return iter(())
            case ev.ModeSet(mode=mode, by_uid=by_uid):
                return self._change_mode(mode, by_uid, now)
            case ev.TimeoutChanged(timeout_s=timeout_s):
                self.settings = msgspec.structs.replace(self.settings, timeout_s=timeout_s)
                self.prompts.timeout_s = timeout_s
                return iter(())
            case ev.ProcessExited(process=process):
                return self._remove_temporary(tuple(self.rules.bound_to(process)), now)
            case ev.DataLost(what=what, count=count):
                return iter([Report(LossCounted(what, count, now.wall_s))])
            case ev.DeadlineReached():
                return self._deadline_reached(now)
            case ev.FirewallEnds():
                return self._end(now)
            case _:
                assert_never(event)

    def next_deadline(self, now: Instant) -> float | None:
        """Boot-time seconds when DeadlineReached is due; None: nothing is."""
        due = (self.prompts.next_deadline(), self.rules.next_deadline(now), self.mode.ends_s)
        return min((one for one in due if one is not None), default=None)

    def open_prompts(self, now: Instant) -> list[Prompt]:
        return [prompt.value(now) for prompt in self.prompts]

    def connection_of(
        self, flow: Flow, attribution: Attribution, interface: str, now: Instant, asked_name: str | None = None
    ) -> Connection:
        """A flow with what is known of it at this moment. `asked_name`: what its DNS question asks for."""
        facts = self.dns.names_of(flow, exec_id_of(attribution), now.boot_s)
        return Connection(
            flow=flow,
            attribution=attribution,
            name=facts.name,
            other_names=facts.others,
            is_name_sure=facts.is_sure,
            interface=interface,
            name_expires_s=facts.expires_s,
            name_source=facts.source,
            aliases=facts.aliases,
            asked_name=asked_name,
        )

    def decide(self, connection: Connection, now: Instant) -> Decision:
        """What the engine does with a new connection: to ask only where people would be asked. Changes nothing."""
        decision = self.rules.decide(connection, now)
        if decision.verdict is Verdict.ALLOW:
            return decision
        if self.verdict_writer.is_reply(connection, now):
            # The kernel's side did not know yet when it was held, or cannot tell, since sockets share the port.
            return _REPLY
        if decision.verdict is Verdict.DENY:
            return decision
        if not connection.attribution.is_listening:
            return Decision(verdict=Verdict.DENY, reason="no program listens on this port", is_flow_only=True)
        if is_covered_by(self.mode, decision, now):
            return self._decide_by_mode(connection, decision)
        if self.settings.timeout_s <= 0:
            refusal = refusal_to_remember(connection)
            return deny_unanswered(decision, f"{decision.reason} and nobody is asked", refusal)
        return decision

    def _decide_by_mode(self, connection: Connection, asked: Decision) -> Decision:
        if self.mode.verdict is Verdict.ALLOW:
            return let_pass(asked, self.mode)
        return deny_unanswered(asked, because_of(self.mode, asked.reason), refusal_to_remember(connection))

    def is_answered_by(self, prompt_id: int, rule: Rule, now: Instant) -> bool:
        """Whether the rule matches a connection that waits in this prompt."""
        prompt = self.prompts.find(prompt_id)
        held = prompt.held.values() if prompt else ()
        return any(self.rules.would_match(rule, each.connection, now) for each in held)

    # Packets

    def _packet_queued(self, event: ev.PacketQueued, now: Instant) -> Iterator[Command]:
        decided = self.verdict_writer.find_flow(event, now)
        if decided is not None:
            return self.verdict_writer.repeat(event, decided)
        held = self.prompts.find_held(event.flow)
        if held is None:
            return self._judge(event, now)
        if held.is_sender_of(event.cookie, exec_id_of(event.attribution)):
            is_held = self.prompts.hold_further(held, event.packet_id)
            return iter(() if is_held else (DropPacket(event.packet_id),))
        # Another socket or program now uses the addresses and ports of the flow that waited.
        return chain(self.prompts.abandon(event.flow, now), self._judge(event, now))

    def _judge(self, event: ev.PacketQueued, now: Instant) -> Iterator[Command]:
        connection = self.connection_of(event.flow, event.attribution, event.interface, now, event.asked_name)
        for loss in self.dns.note_connection(connection, now.boot_s):
            yield Report(LossCounted(loss, 1, now.wall_s))
        held = HeldFlow(connection, event.cookie, [event.packet_id], event.says_nothing, event.interface_index)
        decision = self.decide(connection, now)
        if decision.verdict is Verdict.ASK:
            yield from self._ask(held, decision, now)
            return
        if decision.is_learned:  # noted as the rule that a prompt would propose
            held.connection = self._as_asked(connection, decision)
        yield from self._settle(held, decision, now)

    def _settle(
        self, held: HeldFlow, decision: Decision, now: Instant, *, basis: Basis = Basis.RULES
    ) -> Iterator[Command]:
        connection = held.connection
        common_until_s = math.inf
        if decision.columns.name:
            common_until_s = self.dns.common_until_s(connection.flow, now.boot_s)
            # The program may mean another name, and connect again before a resolver of this machine tells which.
            is_guess = self.dns.is_told and connection.other_names and not connection.is_name_sure
            basis = Basis.MOMENT if is_guess and basis is Basis.RULES else basis
        if decision.is_unanswered and basis is Basis.RULES:
            basis = Basis.MOMENT
        inspection = self.server_names.inspection_for(connection, decision, now, says_nothing=held.says_nothing)
        if inspection is Inspection.GUARDED and held.says_nothing and held.cookie:
            yield SkipInspection(connection.flow, held.cookie)
        yield from self.verdict_writer.write(
            held, decision, now, basis=basis, inspection=inspection, common_until_s=common_until_s
        )
        if self.prompts and decision.verdict is Verdict.ALLOW and held.is_talk:
            yield from self._let_reply_pass(connection.flow, now)

    def _let_reply_pass(self, allowed: Flow, now: Instant) -> Iterator[Command]:
        """Let a held inbound packet pass that answers what was just allowed; the kernel knows the next ones as replies.
        The remote may come first in a conversation from before our start."""
        flow = msgspec.structs.replace(allowed, direction=Direction.INBOUND)
        held = self.prompts.find_held(flow)
        if held is not None and self.verdict_writer.is_reply(held.connection, now):
            prompt, _ = self.prompts.release(flow)
            yield from self._settle(held, _REPLY, now)
            yield self.prompts.close_or_update(prompt, _REPLY.reason, now)

    # Prompts

    def _ask(self, held: HeldFlow, decision: Decision, now: Instant) -> Iterator[Command]:
        held.is_tied = decision.is_flow_only
        held.connection = self._as_asked(held.connection, decision)
        prompt = self.prompts.hold(held, decision, now)
        if prompt is None:
            yield from self._deny(held, decision, "too many open questions", now, is_turned_away=True)
            return
        if len(prompt.held) == 1:
            yield Report(PromptOpened(prompt.prompt_id, held.connection, prompt.decision, now.wall_s))
        yield ShowPrompt(prompt.value(now))

    def _as_asked(self, connection: Connection, decision: Decision) -> Connection:
        """The connection as people are asked about it."""
        # A rule that asks may be for this port, and the answer has to be narrower.
        is_negotiated = not decision.asking and self.verdict_writer.negotiated_ports.has(connection)
        words = self.rules.remote_words
        asked = with_asking(connection, decision, words, is_port_negotiated=is_negotiated)
        return self.catalogue.describe(asked)

    def _set_catalogue(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.verdict_writer.negotiated_ports.told_at = frozenset(catalogue.told_ports)

    def _propose(self, connection: Connection, decision: Decision, now: Instant) -> Proposal:
        """What is proposed for it. Where a rule asks, its answer has to be narrower than that: nothing is learned."""
        return propose(connection) if decision.asking else propose_by_answers(connection, self.rules, now)

    def _deny(
        self, held: HeldFlow, asked: Decision, reason: str, now: Instant, *, is_turned_away: bool = False
    ) -> Iterator[Command]:
        """Deny a connection for which nobody answers."""
        refusal = refusal_to_remember(held.connection)
        denial = deny_unanswered(asked, reason, refusal, is_turned_away=is_turned_away)
        return self._settle(held, denial, now)

    def _answer_given(self, event: ev.AnswerGiven, now: Instant) -> Iterator[Command]:
        """Ignored are answers to a question that was closed meanwhile, and those whose verdict is `ask`."""
        prompt = self.prompts.find(event.prompt_id)
        choice = event.choice
        if prompt is None or (event.rule or choice).verdict is Verdict.ASK:
            return
        connection = next(iter(prompt.held.values())).connection
        rule = event.rule or rule_for_choice(connection, choice, now.wall_s)
        if event.rule is None and not is_rule_kept(connection, choice):
            yield from self._answer_once(prompt, msgspec.structs.replace(rule, until_s=None), event, now)
            return
        process = ends_with(connection, rule)
        answered = f"{ANSWERED_UNTIL} process {process.pid} ends" if process else "answered"
        reason = f"{answered} by uid {event.by_uid}"
        is_new = not self.rules.has(rule, is_temporary=rule.is_temporary)
        quit_pid = process.pid if process else None
        yield prompt.report_answer(rule, event.by_uid, now, quit_pid=quit_pid, is_new=is_new)
        yield from self._put_in_force(rule, process, event.by_uid, now)
        for held in list(prompt.held.values()):
            if event.rule is None or self.rules.would_match(rule, held.connection, now):
                yield from self._follow(held, rule, reason, now)
        yield self.prompts.close_or_update(prompt, _tell_answer(rule, event), now, event.by_uid)
        yield from self._decide_again(now)

    def _renew(self, prompt_id: int, now: Instant) -> Iterator[Command]:
        """Begin the time of a question anew, which may be closed by now."""
        prompt = self.prompts.find(prompt_id)
        if prompt and self.prompts.renew(prompt, now):
            yield ShowPrompt(prompt.value(now))

    def _show_past(self, event: ev.PastFound, now: Instant) -> Iterator[Command]:
        prompt = self.prompts.find(event.prompt_id)
        if prompt:
            prompt.past = event.past
            yield ShowPrompt(prompt.value(now))

    def _answer_once(self, prompt: OpenPrompt, rule: Rule, event: ev.AnswerGiven, now: Instant) -> Iterator[Command]:
        """`once` allows exactly one attempt; people are asked about the others again, under a new number."""
        reason = f"{ANSWERED_ONCE} by uid {event.by_uid}"
        yield prompt.report_answer(rule, event.by_uid, now, is_once=True)
        is_allowed = rule.verdict is Verdict.ALLOW and event.choice.lifetime is Lifetime.ONCE
        meant = prompt.find_attempt() if is_allowed else dict(prompt.held)
        rest = [self.prompts.release(flow)[1] for flow in list(prompt.held) if flow not in meant]
        decision = Decision(verdict=rule.verdict, reason=reason, rule=rule)
        for flow in meant:
            yield from self._settle(self.prompts.release(flow)[1], decision, now, basis=Basis.PERSON)
        yield self.prompts.close_or_update(prompt, _tell_answer(rule, event, " once"), now, event.by_uid)
        for held in rest:
            yield from self._ask(held, prompt.decision, now)

    def _follow(self, held: HeldFlow, rule: Rule, reason: str, now: Instant) -> Iterator[Command]:
        """Give a held flow the verdict of the person, even where another rule would say something else."""
        self.prompts.release(held.connection.flow)
        decision = self.decide(held.connection, now)
        if decision.verdict is rule.verdict:
            told = msgspec.structs.replace(decision, reason=reason)
            yield from self._settle_held(held, told, now, basis=Basis.PERSON)
        else:
            answer = Decision(verdict=rule.verdict, reason=reason, rule=rule)
            yield from self._settle(held, answer, now, basis=Basis.PERSON)

    def _settle_held(
        self, held: HeldFlow, decision: Decision, now: Instant, *, basis: Basis = Basis.MOMENT
    ) -> Iterator[Command]:
        """Settle by the name that was shown. If that is not the name any more: for this flow alone, on this basis."""
        shown = held.connection
        known = self.connection_of(shown.flow, shown.attribution, shown.interface, now)
        if known.name != shown.name:
            return self._settle(held, decision, now, basis=basis)
        held.connection = self._as_asked(known, decision) if decision.is_learned else known
        return self._settle(held, decision, now)

    def _put_in_force(self, rule: Rule, process: ProcessKey | None, by_uid: int, now: Instant) -> Iterator[Command]:
        self.rules.add(rule, now, process)
        if process is not None:
            yield WatchProcess(process)
        elif rule.until_s is None:
            yield AppendRule(rule, by_uid)
        else:
            yield self._keep_temporary()
        yield from self._new_generation()

    def _keep_temporary(self) -> Command:
        return KeepTemporaryRules(tuple(r for r in self.rules.temporary() if r.until_s is not None))

    # DNS messages, which are held on their way: what is learned from them is in force before they go on

    def _question_sent(self, event: ev.QuestionSent, now: Instant) -> Iterator[Command]:
        heard = self.dns.ask(event.flow, event.payload, event.asker.exec_id, now.boot_s, user=event.asker.uid)
        if event.packet_id is not None:
            yield PassMessage(event.packet_id)
        if heard.names:
            yield NoteNames(event.asker, heard.names, now.wall_s)
        for loss in heard.losses:
            yield Report(LossCounted(loss, 1, now.wall_s))

    def _answer_received(self, event: ev.AnswerReceived, now: Instant) -> Iterator[Command]:
        """Learn the names, take back the kernel's verdicts for their addresses, then deliver the answer."""
        update = self.dns.learn(event.flow, event.payload, now.boot_s)
        yield from self._forget_addresses(update.addresses)
        yield PassMessage(event.packet_id)
        for loss in update.losses:
            yield Report(LossCounted(loss, 1, now.wall_s))

    def _look_ups_told(self, event: ev.LookUpsTold, now: Instant) -> Iterator[Command]:
        """Learn from what a resolver of this machine tells that it answered."""
        self.dns.is_told = not event.is_last
        for message in event.messages:
            yield from self._forget_addresses(self.dns.believe(message, now.boot_s))

    def _forget_addresses(self, addresses: tuple[bytes, ...]) -> Iterator[Command]:
        """Take back the verdicts for these remote addresses, since other names decide for them."""
        for address in addresses:
            keys = self.verdict_writer.cache.pop_address(address)
            if keys:
                yield ForgetVerdicts(keys)

    # Rules

    def _rules_loaded(self, event: ev.RulesLoaded, now: Instant) -> Iterator[Command]:
        """That no file has errors any more is reported too."""
        was_broken, self._is_file_broken = self._is_file_broken, bool(event.errors)
        is_changed = self.rules.replace_file_rules(event.rules)
        if is_changed or was_broken or event.errors or event.is_edited:  # before what these rules decide
            yield Report(RulesReplaced(self.rules.count_from_file(), event.errors, now.wall_s))
        if is_changed:
            yield from self._rules_changed(now)

    def _facts_changed(self, facts: Facts, now: Instant) -> Iterator[Command]:
        self.rules.set_facts(facts)
        self.dns.names.set_facts(facts)
        yield from self._rules_changed(now, facts.own_addresses)

    def _remove_temporary(self, rules: tuple[Rule, ...], now: Instant) -> Iterator[Command]:
        if self.rules.remove_temporary(rules):
            yield self._keep_temporary()
            yield from self._rules_changed(now)

    def _take_back(self, event: ev.AnswersTakenBack, now: Instant) -> Iterator[Command]:
        """All verdicts are stale even if no rule goes: that of an answer for once has none."""
        for rule in event.put_back:
            self.rules.add(rule, now)
        if not self.rules.remove_temporary(event.temporary) and not event.put_back:
            self.rules.begin_generation()
        if event.temporary or event.put_back:
            yield self._keep_temporary()
        self.verdict_writer.forget_answers(frozenset(event.answered))
        yield from self._rules_changed(now)

    def _rules_changed(self, now: Instant, own_addresses: frozenset[bytes] | None = None) -> Iterator[Command]:
        yield from self._new_generation(own_addresses)
        yield from self._decide_again(now)

    def _new_generation(self, own_addresses: frozenset[bytes] | None = None) -> Iterator[Command]:
        """Make all verdicts that the kernel remembers stale at once."""
        self.verdict_writer.clear()
        yield SetGeneration(self.rules.generation, own_addresses)

    def _decide_again(self, now: Instant) -> Iterator[Command]:
        """Decide anew what waits, since the rules have changed, and see what proposals learn from that."""
        for prompt in self.prompts:
            before, reason = len(prompt.held), ""
            for flow, held in list(prompt.held.items()):
                decision = self.decide(held.connection, now)
                if decision.verdict is not Verdict.ASK:
                    self.prompts.release(flow)
                    reason = "decided by a rule" if decision.rule else decision.reason
                    yield from self._settle_held(held, decision, now)
            if len(prompt.held) < before:
                yield self.prompts.close_or_update(prompt, reason, now)
        for prompt in self.prompts.propose_again(now):
            yield ShowPrompt(prompt.value(now))

    # Mode and time

    def _change_mode(self, mode: AskingMode, by_uid: int | None, now: Instant) -> Iterator[Command]:
        """Decide anew what no rule covers. `by_uid`: who has it so; None: the time of the mode before is over."""
        self.mode = mode
        self.rules.begin_generation()
        yield from self._new_generation()
        yield ChangeMode(mode)
        yield Report(ModeChanged(mode.verdict, mode.until_s, by_uid, now.wall_s))
        yield from self._decide_again(now)

    def _deadline_reached(self, now: Instant) -> Iterator[Command]:
        for prompt in self.prompts.find_expired(now.boot_s):
            yield from self._give_up(prompt, now)
        if self.mode.has_ended(now):
            yield from self._change_mode(ASKING, None, now)
        if self.rules.drop_expired(now):
            yield self._keep_temporary()

    def _end(self, now: Instant) -> Iterator[Command]:
        """Deny all that waits, so that nothing unknown passes once the netfilter rules are gone."""
        for prompt in self.prompts:
            yield from self._deny_all(prompt, "the firewall ends", now)

    def _give_up(self, prompt: OpenPrompt, now: Instant) -> Iterator[Command]:
        reason = f"{NO_ANSWER} within {prompt.deadline_s - prompt.opened.boot_s:g} s"
        is_shown = any(uid in (None, prompt.key.uid) for uid in self._clients.values())
        return self._deny_all(prompt, reason if is_shown else f"{reason}, no prompt client attached", now)

    def _deny_all(self, prompt: OpenPrompt, reason: str, now: Instant) -> Iterator[Command]:
        for flow in list(prompt.held):
            yield from self._deny(self.prompts.release(flow)[1], prompt.decision, reason, now)
        yield self.prompts.close_or_update(prompt, reason, now)


def _tell_answer(rule: Rule, event: ev.AnswerGiven, once: str = "") -> str:
    """The reason that a prompt is closed for, as its other clients are told."""
    return f"answered {'yes' if rule.verdict is Verdict.ALLOW else 'no'}{once} by uid {event.by_uid}"
