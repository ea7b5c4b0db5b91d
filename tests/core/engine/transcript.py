"""An engine with a clock of its own: short words make its events, and its commands come out as short words."""

from typing import assert_never

import dns.message
import dns.rrset

from tests.core.prompts.catalogued import CATALOGUE
from tinysnitch.core.engine import commands as cmd
from tinysnitch.core.engine import events as ev
from tinysnitch.core.engine.engine import Engine
from tinysnitch.core.engine.records import (
    ConnectionDecided,
    LossCounted,
    ModeChanged,
    PromptAnswered,
    PromptOpened,
    Record,
    RulesReplaced,
    ServerNameRead,
)
from tinysnitch.core.model.asking_mode import begin_mode
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.flow import TCP, UDP, Direction, Flow, parse_address
from tinysnitch.core.model.process import Attribution, AttributionSource, Process, asker_of
from tinysnitch.core.model.settings import Settings
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.packets.packet import Payload
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.prompts.choice import Choice, Lifetime
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import format_rule, parse_rule

WALL_S = 1_700_000_000.0  # when the boot-time clock stood at 0
SHOP, BANK = "10.0.0.80", "10.0.0.81"
RESOLVER = parse_address("10.0.0.53")
FACTS = Facts(resolvers=frozenset({RESOLVER}))


def process_of(exec_id: int = 7, program: str = "/usr/bin/curl", **fields: object) -> Process:
    values: dict[str, object] = {
        "exec_id": exec_id,
        "pid": 4000 + exec_id,
        "started_ns": 1,
        "uid": 1000,
        "executable": program,
        "device": 1,
        "inode": 2,
        "program": program,
        "args": (),
    }
    return Process(**(values | fields))  # type: ignore[arg-type]


def whose(exec_id: int = 7, program: str = "/usr/bin/curl", **fields: object) -> Attribution:
    return Attribution(AttributionSource.BPF, process_of(exec_id, program, **fields))


CURL = whose()


def flow_of(local_port: int = 40000, remote: str = SHOP, port: int = 443, protocol: int = TCP) -> Flow:
    return Flow(protocol, Direction.OUTBOUND, parse_address("10.0.0.2"), local_port, parse_address(remote), port)


def inbound(remote_port: int = 50000, port: int = 22, remote: str = "10.0.0.5", protocol: int = TCP) -> Flow:
    return Flow(protocol, Direction.INBOUND, parse_address("10.0.0.2"), port, parse_address(remote), remote_port)


def yes(lifetime: Lifetime = Lifetime.FOREVER) -> Choice:
    return Choice(verdict=Verdict.ALLOW, lifetime=lifetime)


def no(lifetime: Lifetime = Lifetime.FOREVER) -> Choice:
    return Choice(verdict=Verdict.DENY, lifetime=lifetime)


def told_of(name: str, asked: str | None = None) -> bytes:
    """The event of a resolver that tells what it answered. `asked`: the name, if a search domain completed it."""
    message = dns.message.make_response(dns.message.make_query(asked or name, "A"))
    message.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", "A", SHOP))
    return message.to_wire()


def tell(command: cmd.Command) -> str:
    match command:
        case cmd.IssueVerdict(packet_id, verdict):
            return f"{verdict.value} {packet_id}"
        case cmd.DropPacket(packet_id):
            return f"drop {packet_id}"
        case cmd.PassMessage(packet_id):
            return f"pass {packet_id}"
        case cmd.NoteNames(names=names):
            return f"names {', '.join(names)}"
        case cmd.InspectMore(packet_id):
            return f"more after {packet_id}"
        case cmd.EndInspection(packet_id, verdict=verdict):
            return f"end inspection {verdict.value} {packet_id}"
        case cmd.SkipInspection():
            return "skip inspection"
        case cmd.RememberVerdict(verdict=verdict):
            return f"remember {verdict.value}"
        case cmd.RememberFlow(verdict=verdict):
            return f"remember flow {verdict.value}"
        case cmd.ForgetVerdicts(keys):
            return f"forget {len(keys)}"
        case cmd.SetGeneration(generation):
            return f"generation {generation}"
        case cmd.ShowPrompt(prompt):
            return f"ask {prompt.prompt_id} x{prompt.count}"
        case cmd.ClosePrompt(prompt_id, reason):
            return f"close {prompt_id}: {reason}"
        case cmd.AppendRule(rule=rule):
            return f"write {format_rule(rule)}"
        case cmd.KeepTemporaryRules(rules):
            return f"keep {len(rules)}"
        case cmd.ChangeMode(mode):
            return f"mode {mode.verdict.value}"
        case cmd.WatchProcess(process):
            return f"watch {process.pid}"
        case cmd.Report(record):
            return tell_record(record)
        case _:
            assert_never(command)


def tell_record(record: Record) -> str:
    match record:
        case ConnectionDecided(decision=decision, is_cached=is_cached):
            return f"decided: {decision.reason}" + (" (cached)" if is_cached else "")
        case ServerNameRead(connection=connection):
            return f"said: {connection.name}"
        case PromptOpened(prompt_id):
            return f"opened {prompt_id}"
        case PromptAnswered(prompt_id, rule, is_once=is_once, quit_pid=quit_pid):
            ends = f" # until {quit_pid} ends" if quit_pid else ""
            return f"answered {prompt_id}: {rule}{' # once' if is_once else ends}"
        case RulesReplaced(loaded, errors):
            return f"rules {loaded}, errors {len(errors)}"
        case ModeChanged(mode, until_s, by_uid):
            return f"mode {mode.value} until {until_s} by {by_uid}"
        case LossCounted(what, count):
            return f"lost {what} {count}"
        case _:
            assert_never(record)


class Transcript:
    """Rules are loaded already. Packets and messages are numbered from 1."""

    def __init__(self, *lines: str, **settings: object) -> None:
        self.engine = Engine(Settings(**settings), FACTS, catalogue=CATALOGUE)  # type: ignore[arg-type]
        self.now_s = 1000.0
        self.packets = 0
        self.load(*lines)

    @property
    def now(self) -> Instant:
        return Instant(self.now_s, WALL_S + self.now_s)

    def feed(self, event: ev.Event) -> list[cmd.Command]:
        return list(self.engine.handle(event, self.now))

    def say(self, event: ev.Event) -> list[str]:
        return [tell(command) for command in self.feed(event)]

    def load(self, *lines: str) -> list[str]:
        return self.say(ev.RulesLoaded(tuple(map(parse_rule, lines))))

    def next_packet(
        self, flow: Flow | None = None, who: Attribution = CURL, cookie: int | None = None
    ) -> ev.PacketQueued:
        """The event of the next packet. Each flow has its own socket unless a cookie is given."""
        self.packets += 1
        flow = flow or flow_of()
        return ev.PacketQueued(self.packets, flow, who, "eth0", flow.local_port if cookie is None else cookie)

    def queue(self, flow: Flow | None = None, who: Attribution = CURL, cookie: int | None = None) -> list[str]:
        return self.say(self.next_packet(flow, who, cookie))

    def answer(self, prompt_id: int, choice: Choice, rule: Rule | None = None) -> list[str]:
        return self.say(ev.AnswerGiven(prompt_id, choice, 1000, rule))

    def set_mode(self, verdict: Verdict, for_s: float | None = None) -> list[str]:
        return self.say(ev.ModeSet(begin_mode(verdict, for_s, self.now), 1000))

    def wait(self, seconds: float) -> list[str]:
        self.now_s += seconds
        return self.say(ev.DeadlineReached())

    def send(self, payload: Payload, flow: Flow | None = None, who: Attribution = CURL) -> list[str]:
        """A connection that is watched sends data."""
        self.packets += 1
        flow = flow or flow_of()
        return self.say(ev.DataSent(self.packets, flow, who, "eth0", flow.local_port, payload))

    def resolve(self, name: str, address: str, who: Attribution = CURL, ttl_s: int = 600) -> list[str]:
        """The program asks the trusted resolver for the name, and gets the address."""
        asked = self.packets
        query = self.ask(name, who)
        return [f"pass {asked + 1}", *self.hear(query, address, ttl_s)]

    def ask(self, name: str, who: Attribution = CURL) -> dns.message.Message:
        self.packets += 1
        query = dns.message.make_query(name, "A", id=self.packets & 0xFFFF)
        self.feed(ev.QuestionSent(self.packets, _TALK, asker_of(who), query.to_wire()))
        return query

    def hear(self, query: dns.message.Message, address: str, ttl_s: int = 600) -> list[str]:
        """The resolver answers the question."""
        return self.say(self.next_answer(query, address, ttl_s))

    def next_answer(self, query: dns.message.Message, address: str, ttl_s: int = 600) -> ev.AnswerReceived:
        self.packets += 1
        reply = dns.message.make_response(query)
        reply.answer.append(dns.rrset.from_text(query.question[0].name, ttl_s, "IN", "A", address))
        return ev.AnswerReceived(self.packets, _TALK, reply.to_wire())


_TALK = flow_of(50000, "10.0.0.53", 53, UDP)
