"""Random walks of the engine, with the promises that hold after every step."""

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import NamedTuple

from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.engine.kernel_memory import KernelMemory
from tests.core.engine.transcript import BANK, FACTS, SHOP, Transcript, flow_of, inbound, no, process_of, whose, yes
from tests.core.policy.rule_oracle import decide_slowly, matches
from tinysnitch.core.engine import commands as cmd
from tinysnitch.core.engine import events as ev
from tinysnitch.core.engine.records import ConnectionDecided
from tinysnitch.core.model.asking_mode import begin_mode
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import Flow, parse_address
from tinysnitch.core.model.process import KERNEL, UNKNOWN, Attribution, Grains, exec_id_of
from tinysnitch.core.model.verdict import Verdict, VerdictKey, verdict_key_of
from tinysnitch.core.prompts.choice import Lifetime
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import parse_rule

FLOWS = [flow_of(1), flow_of(2), flow_of(1, BANK), inbound(1), inbound(2)]
CLOSED = Attribution(UNKNOWN.source, is_listening=False)
GRAINS = Grains(file=11, args=12, lineage=13)
WHO = [
    whose(7, grains=GRAINS),
    whose(8, grains=GRAINS),
    whose(9, "/tmp/x", is_host_file=False),
    KERNEL,
    UNKNOWN,
    CLOSED,
]
LINES = ["allow 10.0.0.80 - -", "deny shop.test - -", "ask - - - /usr/bin/curl", "allow - - -src", "deny - - - kernel"]
LINES += [
    "allow shop.test - -",
    "deny ads.test - -",
    "deny iface=eth1 - - -",
    "allow until=2023-11-14T22:36:00Z - 443 tcp",
    "allow - - - /usr/bin/curl",
    "deny - 443 tcp /usr/bin/curl",
]
NAMES = ["shop.test", "ads.test"]
BY_HAND = [None, None, None, "allow - - - /usr/bin/curl", "deny 10.0.0.80 - -", "ask - - -", "allow iface=eth0 - - -"]

PACKET = st.tuples(st.just("packet"), st.sampled_from(FLOWS), st.sampled_from(WHO), st.integers(0, 1))
ANSWER = st.tuples(
    st.just("answer"), st.integers(0, 3), st.booleans(), st.sampled_from(Lifetime), st.sampled_from(BY_HAND)
)
RESOLVE = st.tuples(st.just("resolve"), st.sampled_from(NAMES), st.sampled_from([SHOP, BANK]), st.sampled_from(WHO[:4]))
STEPS = st.one_of(
    *[PACKET] * 8,
    *[ANSWER] * 3,
    *[RESOLVE] * 2,
    *[st.tuples(st.just("wait"), st.sampled_from([0.5, 61.0, 301.0]))] * 2,
    st.tuples(st.just("load"), st.lists(st.sampled_from(LINES), unique=True, max_size=3)),
    st.tuples(st.just("exit"), st.sampled_from([7, 8])),
    st.tuples(st.just("remove")),
    st.tuples(st.just("mode"), st.sampled_from(Verdict), st.sampled_from([None, 30.0, 120.0])),
    st.tuples(st.just("facts"), st.sampled_from([None, *NAMES])),
)


class Packet(NamedTuple):
    flow: Flow
    cookie: int
    who: Attribution

    def is_like(self, other: "Packet") -> bool:
        """Whether both are of one flow and socket, and not known to be of two programs: such packets share one fate."""
        processes = (self.who.process, other.who.process)
        return self[:2] == other[:2] and (None in processes or processes[0] == processes[1])


class Walk:
    """`fates`: what became of each packet. A packet that is not in it is held."""

    def __init__(self, is_learning: bool, timeout_s: float) -> None:
        limits = {"max_prompts": 3, "max_held_packets": 6, "max_held_per_flow": 2, "max_flows": 3, "max_verdicts": 3}
        self.engine = Transcript(is_learning=is_learning, timeout_s=timeout_s, **limits)
        self.kernel = KernelMemory(self.engine.engine.rules.generation)
        self.is_learning = is_learning
        self.packets: dict[int, Packet] = {}
        self.fates: dict[int, str] = {}
        self.promised: set[Packet] = set()  # what people let through
        self.names: defaultdict[bytes, set[str]] = defaultdict(set)  # that an address ever had

    def take(self, kind: str, *values: object) -> None:
        step: Callable[..., list[cmd.Command]] = getattr(self, f"_{kind}")
        waited = self._waiting()
        commands = step(*values)
        self._check(commands)
        assert Counter(flow for flow, _ in waited - self._waiting()) <= _count_told(commands)
        core = self.engine.engine
        held = [packet for prompt in core.prompts for one in prompt.held.values() for packet in one.packet_ids]
        assert sorted(held) == sorted(self.packets.keys() - self.fates.keys())
        assert core.prompts.packet_quota.used == len(held) <= 6
        assert core.prompts.prompt_quota.used == len(core.prompts) <= 3
        self._check_deadlines()
        self._check_memory()

    def _waiting(self) -> set[tuple[Flow, int]]:
        """The connections that wait for an answer, each by its flow and its first packet."""
        return {
            (flow, held.packet_ids[0]) for prompt in self.engine.engine.prompts for flow, held in prompt.held.items()
        }

    def _check_deadlines(self) -> None:
        core, now = self.engine.engine, self.engine.now
        ends = [prompt.deadline_s for prompt in core.prompts]
        ends += [now.boot_s + rule.until_s - now.wall_s for rule in core.rules.temporary() if rule.until_s is not None]
        ends += [core.mode.ends_s] if core.mode.ends_s is not None else []
        assert core.next_deadline(now) == min(ends, default=None)
        assert min(ends, default=now.boot_s + 1) > now.boot_s

    def _check_memory(self) -> None:
        """The kernel's verdicts that hold now are those of the rules, except where people answered for one flow."""
        core, now_s = self.engine.engine, self.engine.now_s
        verdicts = list(self.kernel.verdicts(now_s))
        for told in verdicts:
            assert all(self._says(told, connection) for connection in self._covered_by(told.key))
        assert len(verdicts) <= core.verdict_writer.tables()["verdicts"].used <= 3
        for flow in self.kernel.flows(now_s):
            packets = [
                one for one in self.packets.values() if one.flow == flow.flow and exec_id_of(one.who) == flow.exec_id
            ]
            assert flow.verdict is Verdict.DENY or any(map(self._shares_a_pass, packets))

    def _covered_by(self, key: VerdictKey) -> list[Connection]:
        """The packets for which the kernel uses the same verdict, by whatever interface they leave."""
        core, now = self.engine.engine, self.engine.now
        each = [core.connection_of(flow, who, "", now) for flow in FLOWS for who in WHO]
        covered = [one for one in each if verdict_key_of(one, key.mask) == key]
        return [replace(one, interface=interface) for one in covered for interface in ("eth0", "eth1")]

    def _says(self, told: cmd.RememberVerdict, connection: Connection) -> bool:
        verdict = decide_slowly(list(self.engine.engine.rules), connection, self.engine.now.wall_s)
        return told.verdict is (Verdict.ALLOW if self._passes_unasked(connection) else verdict)

    def _passes_unasked(self, connection: Connection) -> bool:
        """Whether observing or a pause lets it pass. In a pause, what a rule asks about is asked."""
        rules, wall_s = list(self.engine.engine.rules), self.engine.now.wall_s
        is_covered = any(matches(rule, connection, wall_s) for rule in rules)
        is_asked = decide_slowly(rules, connection, wall_s) is Verdict.ASK
        return is_asked if self.is_learning else not is_covered and self.engine.engine.mode.verdict is Verdict.ALLOW

    def _check(self, commands: list[cmd.Command]) -> None:
        remembered = None
        for command in commands:
            self.kernel.take(command)
            match command:
                case cmd.RememberFlow(verdict=verdict) | cmd.RememberVerdict(verdict=verdict):
                    remembered = verdict
                case cmd.IssueVerdict(packet_id, verdict):
                    assert verdict is remembered  # before the packet goes
                    self._end(packet_id, verdict.value)
                case cmd.DropPacket(packet_id):
                    self._end(packet_id, "drop")

    def _end(self, packet_id: int, fate: str) -> None:
        assert packet_id in self.packets
        assert packet_id not in self.fates
        self.fates[packet_id] = fate
        if fate == "allow":
            assert self._shares_a_pass(self.packets[packet_id])

    def _shares_a_pass(self, packet: Packet) -> bool:
        return any(self._may_pass(each) for each in set(self.packets.values()) if each.is_like(packet))

    def _may_pass(self, packet: Packet) -> bool:
        """Whether people allowed this packet, or the rules in force do, by any name that its remote has had."""
        if packet in self.promised:
            return True
        rules, wall_s = list(self.engine.engine.rules), self.engine.now.wall_s
        named = [self._connection(packet, name) for name in self._names(packet)]
        return any(decide_slowly(rules, one, wall_s) is Verdict.ALLOW or self._passes_unasked(one) for one in named)

    def _names(self, packet: Packet) -> set[str | None]:
        return {None, *self.names[packet.flow.remote]}

    @staticmethod
    def _connection(packet: Packet, name: str | None) -> Connection:
        return Connection(flow=packet.flow, attribution=packet.who, name=name, interface="eth0")

    def _packet(self, flow: Flow, who: Attribution, cookie: int) -> list[cmd.Command]:
        event = self.engine.next_packet(flow, who, cookie)
        self.packets[event.packet_id] = Packet(flow, cookie, who)
        return self.engine.feed(event)

    def _answer(self, number: int, is_yes: bool, lifetime: Lifetime, by_hand: str | None) -> list[cmd.Command]:
        rule = parse_rule(by_hand) if by_hand else None
        numbers = [prompt.prompt_id for prompt in self.engine.engine.prompts] + [99]  # the last one never was
        number = numbers[number % len(numbers)]
        if rule.verdict is Verdict.ALLOW if rule else is_yes:
            answered = self._answered(number, rule)
            is_for_one = lifetime is Lifetime.ONCE and rule is None
            self.promised |= set(answered[:1] if is_for_one else answered)
        choice = yes(lifetime) if is_yes else no(lifetime)
        return self.engine.feed(ev.AnswerGiven(number, choice, 0, rule))

    def _answered(self, number: int, rule: Rule | None) -> list[Packet]:
        """The packets that wait for this answer, and that it is about."""
        prompt = self.engine.engine.prompts.find(number)
        held = list(prompt.held.values()) if prompt else []
        meant = [one for one in held if rule is None or matches(rule, one.connection, self.engine.now.wall_s)]
        return [Packet(one.connection.flow, one.cookie, one.connection.attribution) for one in meant]

    def _wait(self, seconds: float) -> list[cmd.Command]:
        self.engine.now_s += seconds
        return self.engine.feed(ev.DeadlineReached())

    def _load(self, lines: list[str]) -> list[cmd.Command]:
        return self.engine.feed(ev.RulesLoaded(tuple(map(parse_rule, lines))))

    def _resolve(self, name: str, address: str, who: Attribution) -> list[cmd.Command]:
        self.names[parse_address(address)].add(name)
        return self.engine.feed(self.engine.next_answer(self.engine.ask(name, who), address, ttl_s=5))

    def _exit(self, exec_id: int) -> list[cmd.Command]:
        return self.engine.feed(ev.ProcessExited(process_of(exec_id).key))

    def _remove(self) -> list[cmd.Command]:
        return self.engine.feed(ev.AnswersTakenBack(self.engine.engine.rules.temporary()[:1]))

    def _mode(self, verdict: Verdict, for_s: float | None) -> list[cmd.Command]:
        """A daemon that observes goes on with that."""
        mode = begin_mode(verdict, for_s, self.engine.now)
        return [] if self.is_learning else self.engine.feed(ev.ModeSet(mode, 0))

    def _facts(self, name: str | None) -> list[cmd.Command]:
        """Facts in which /etc/hosts names an address, or does not any more."""
        shop = parse_address(SHOP)
        self.names[shop] |= {name} if name else set()
        hosts = {shop: (name,)} if name else {}
        return self.engine.feed(ev.FactsChanged(replace(FACTS, hosts=hosts)))


def _count_told(commands: list[cmd.Command]) -> Counter[Flow]:
    """The flows whose verdicts are told, one for each line of the log."""
    records = [command.record for command in commands if isinstance(command, cmd.Report)]
    return Counter(one.connection.flow for one in records if isinstance(one, ConnectionDecided))
