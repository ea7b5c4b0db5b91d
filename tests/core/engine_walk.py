"""Random walks of the engine, with the promises that hold after every step."""

from collections.abc import Callable

from hypothesis import strategies as st

from tests.core.transcript import BANK, SHOP, Transcript, flow_of, inbound, no, whose, yes
from tinysnitch.core import commands as cmd
from tinysnitch.core import events as ev
from tinysnitch.core.choice import Lifetime
from tinysnitch.core.facts import Facts
from tinysnitch.core.flow import Flow
from tinysnitch.core.process import KERNEL, UNKNOWN, Attribution
from tinysnitch.core.rule_text import parse_rule
from tinysnitch.core.verdict import Verdict

FLOWS = [flow_of(1), flow_of(2), flow_of(1, BANK), inbound(1), inbound(2)]
CLOSED = Attribution(UNKNOWN.source, is_listening=False)
WHO = [whose(7), whose(8), whose(9, "/tmp/x", is_host_file=False), KERNEL, UNKNOWN, CLOSED]
LINES = ["allow 10.0.0.80 - -", "deny shop.test - -", "ask - - - /usr/bin/curl", "allow - - -src", "deny - - - kernel"]
BY_HAND = [None, "allow - - - /usr/bin/curl", "deny 10.0.0.80 - -", "ask - - -", "allow iface=eth0 - - -"]

STEPS = st.one_of(
    *[st.tuples(st.just("packet"), st.sampled_from(FLOWS), st.sampled_from(WHO), st.integers(0, 2))] * 4,
    *[
        st.tuples(
            st.just("answer"), st.integers(0, 9), st.booleans(), st.sampled_from(Lifetime), st.sampled_from(BY_HAND)
        )
    ]
    * 2,
    st.tuples(st.just("wait"), st.sampled_from([0.5, 5.0, 30.0, 61.0, 400.0])),
    st.tuples(st.just("load"), st.lists(st.sampled_from(LINES), unique=True)),
    st.tuples(st.just("resolve"), st.sampled_from(["shop.test", "ads.test"]), st.sampled_from([SHOP, BANK])),
    st.tuples(st.just("exit"), st.sampled_from([7, 8])),
    st.tuples(st.just("facts")),
)


class Walk:
    """`fates` has what became of each packet; a packet without one is held."""

    def __init__(self, is_learning: bool, timeout_s: float) -> None:
        limits = {"max_prompts": 3, "max_waiters": 6, "max_waiters_per_flow": 2, "max_flows": 3, "max_verdicts": 3}
        self.engine = Transcript(is_learning=is_learning, timeout_s=timeout_s, **limits)
        self.is_learning = is_learning
        self.flows: dict[int, tuple[Flow, int]] = {}  # with the cookie, of each packet
        self.fates: dict[int, str] = {}
        self.promised: set[tuple[Flow, int]] = set()  # that people let through

    def take(self, kind: str, *values: object) -> None:
        step: Callable[..., list[cmd.Command]] = getattr(self, f"_{kind}")
        self._check(step(*values))
        core = self.engine.engine
        held = [packet for prompt in core.prompts for one in prompt.waiters.values() for packet in one.packet_ids]
        assert sorted(held) == sorted(self.flows.keys() - self.fates.keys())
        assert core.prompts.held == len(held) <= 6
        assert len(core.prompts) <= 3
        self._check_deadlines()

    def _check_deadlines(self) -> None:
        core, now = self.engine.engine, self.engine.now
        ends = [prompt.deadline_s for prompt in core.prompts]
        ends += [now.boot_s + rule.until_s - now.wall_s for rule in core.rules.temporary() if rule.until_s is not None]
        assert core.next_deadline(now) == min(ends, default=None)
        assert min(ends, default=now.boot_s + 1) > now.boot_s

    def _check(self, commands: list[cmd.Command]) -> None:
        remembered = None
        for command in commands:
            match command:
                case cmd.RememberFlow(verdict=verdict) | cmd.RememberVerdict(verdict=verdict):
                    remembered = verdict
                case cmd.IssueVerdict(packet_id, verdict):
                    assert verdict is remembered  # before the packet goes
                    self._end(packet_id, verdict.value)
                case cmd.DropPacket(packet_id):
                    self._end(packet_id, "drop")

    def _end(self, packet_id: int, fate: str) -> None:
        assert packet_id in self.flows
        assert packet_id not in self.fates
        self.fates[packet_id] = fate
        if fate == "allow":
            is_ruled = any(rule.verdict is Verdict.ALLOW for rule in self.engine.engine.rules)
            assert self.is_learning or is_ruled or self.flows[packet_id] in self.promised

    def _packet(self, flow: Flow, who: Attribution, cookie: int) -> list[cmd.Command]:
        event = self.engine.next_packet(flow, who, cookie)
        self.flows[event.packet_id] = (flow, cookie)
        return self.engine.feed(event)

    def _answer(self, number: int, is_yes: bool, lifetime: Lifetime, by_hand: str | None) -> list[cmd.Command]:
        rule = parse_rule(by_hand) if by_hand else None
        prompt = self.engine.engine.prompts.find(number)
        if prompt and (rule.verdict is Verdict.ALLOW if rule else is_yes):
            self.promised |= {(flow, waiter.cookie) for flow, waiter in prompt.waiters.items()}
        choice = yes(lifetime) if is_yes else no(lifetime)
        return self.engine.feed(ev.AnswerGiven(number, choice, 0, rule))

    def _wait(self, seconds: float) -> list[cmd.Command]:
        self.engine.now_s += seconds
        return self.engine.feed(ev.DeadlineReached())

    def _load(self, lines: list[str]) -> list[cmd.Command]:
        return self.engine.feed(ev.RulesLoaded(tuple(map(parse_rule, lines))))

    def _resolve(self, name: str, address: str) -> list[cmd.Command]:
        self.engine.resolve(name, address)
        return []

    def _exit(self, exec_id: int) -> list[cmd.Command]:
        return self.engine.feed(ev.ProcessExited(exec_id))

    def _facts(self) -> list[cmd.Command]:
        return self.engine.feed(ev.FactsChanged(Facts(resolvers=frozenset({flow_of(1, "10.0.0.53").remote}))))
