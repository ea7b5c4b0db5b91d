"""Compares the kernel's answers with the engine's: `python -m tests.bpf.differential 100000`, or `make fuzz`.

Random rules are put in force. A program connects: the engine decides, and its verdict is written into the kernel's
cache. Then another program, or the same one, connects, often nearly alike: where the kernel answers, it must be what
the engine says from all that is known of this connection. The kernel's side is the real BPF programs
(BPF_PROG_TEST_RUN).
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from msgspec.structs import replace

from tests.bpf.bpf_place import BpfPlace
from tests.bpf.kernel_side import KERNEL as KERNEL_OWNER
from tests.bpf.kernel_side import KernelSide
from tests.bpf.program_pool import TWINS, Member, ProgramPool
from tests.core.engine.transcript import FACTS as RESOLVERS
from tests.core.engine.transcript import WALL_S, Transcript
from tinysnitch.core.engine import events as ev
from tinysnitch.core.engine.engine import Engine
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import ICMP, TCP, UDP, Direction, Flow, format_address, parse_address
from tinysnitch.core.model.process import KERNEL, Attribution
from tinysnitch.core.model.settings import Settings
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.rules.network import parse_network
from tinysnitch.core.rules.rule import ANY_PROGRAM, ANY_REMOTE, Program, ProgramKind, Remote, RemoteKind, Rule
from tinysnitch.kernel.bpf.layout import Owner
from tinysnitch.store.remote_set import RemoteSet

SEED = 20261202
PAIRS_OF_RULES = 16  # pairs that one set of rules decides
PAIRS_OF_POOL = 4000
MOST_RULES = 6
LATER_S = 400  # after this a name counts only for those that asked for it

HERE = parse_address("192.168.1.5")
REMOTES = ["10.1.2.3", "10.1.9.9", "192.168.1.77", "203.0.113.9", "203.0.113.10"]
NAMES = ["example.com", "ads.example.com", "a.ads.example.com", "example.org"]
PORTS = [22, 80, 443]
INTERFACES = ["eth0", "wg0"]
WORDS = [Remote(RemoteKind.LAN), Remote(RemoteKind.LOCALHOST), Remote(RemoteKind.LIST, "ads")]


class Difference(AssertionError):
    """The kernel says otherwise than the engine."""


class Who(NamedTuple):
    owner: Owner
    attribution: Attribution


@dataclass
class Outcome:
    pairs: int = 0
    allowed: int = 0  # of the second ones, by the kernel itself
    denied: int = 0

    @property
    def answered(self) -> int:
        return self.allowed + self.denied


class Judges(Transcript):
    """The engine and the kernel, with a set of rules in force, at one moment."""

    def __init__(self, kernel: KernelSide, facts: Facts, rules: list[Rule]) -> None:
        self._kernel = kernel
        self.engine = Engine(Settings(timeout_s=0), facts, kernel.programs.generation + 1)
        self.now_s = _read_clock()
        self.packets = 0
        self.carry_out(ev.RulesLoaded(tuple(rules)))

    def carry_out(self, event: ev.Event) -> None:
        self._kernel.carry_out(self.feed(event))

    def connection(self, flow: Flow, who: Who, interface: str) -> Connection:
        return self.engine.connection_of(flow, who.attribution, interface, self.now)

    def judge(self, flow: Flow, who: Who, interface: str) -> Verdict | None:
        """The kernel's answer, None if it asks. Raises Difference."""
        said = self._kernel.judge(flow, who.owner)
        connection = self.connection(flow, who, interface)
        meant = self.engine.rules.decide(connection, self.now)
        if said not in (None, meant.verdict):
            rules = "\n".join(map(str, self.engine.rules))
            raise Difference(f"{said} by the kernel, but {meant}\nof {connection}\nby the rules\n{rules}")
        return said

    def decide(self, flow: Flow, who: Who, interface: str) -> None:
        """The engine judges a packet that the kernel asks about."""
        self.packets += 1
        index = INTERFACES.index(interface) + 1
        self.carry_out(ev.PacketQueued(self.packets, flow, who.attribution, interface, 0, interface_index=index))

    def look_up(self, name: str, address: str, who: Who) -> None:
        """The program asks for the name and gets the address."""
        self.carry_out(self.next_answer(self.ask(name, who.attribution), address))


class Comparison:
    def __init__(self, kernel: KernelSide, pool: ProgramPool, folder: Path, chance: Random, outcome: Outcome) -> None:
        self._kernel, self._pool, self._folder, self._chance = kernel, pool, folder, chance
        self._flows = 0
        self.outcome = outcome

    def run(self, pairs: int) -> None:
        """Raises Difference."""
        end = self.outcome.pairs + pairs
        while self.outcome.pairs < end:
            self._run_rules(min(PAIRS_OF_RULES, end - self.outcome.pairs))

    def _run_rules(self, pairs: int) -> None:
        family, direction = self._chance.choice(self._pool.families), self._chance.choice(list(Direction))
        self._remotes, self._names = self._chance.sample(REMOTES, 2), self._chance.sample(NAMES, 2)
        drawn = [self._draw_pair(family, direction) for _ in range(pairs)]
        facts = self._draw_facts()
        mosts = [self._chance.choice((1, 4)), *self._chance.choices((2, 4), k=self._chance.randint(0, MOST_RULES - 1))]
        rules = [self._draw_rule(*self._chance.choice(drawn)[0], most) for most in mosts]
        judges = Judges(self._kernel, facts, rules)
        judges.now_s -= self._chance.choice((0, LATER_S))
        for number, (first, second) in enumerate(drawn):
            if number == pairs // 2:
                judges.now_s = _read_clock()
            for flow, who, _interface in (first, second):
                if self._chance.random() < 0.3:
                    judges.look_up(self._chance.choice(self._names), format_address(flow.remote), who)
            if judges.judge(*first) is None:
                judges.decide(*first)
            said = judges.judge(*second)
            self.outcome.pairs += 1
            self.outcome.allowed += said is Verdict.ALLOW
            self.outcome.denied += said is Verdict.DENY

    # What is drawn

    def _draw_pair(self, family: list[Member], direction: Direction) -> list[tuple[Flow, Who, str]]:
        first, second = (self._draw_who(family) for _ in range(2))
        flow, other = self._draw_flow(direction), self._draw_flow(direction)
        fields = ("protocol", "remote", "remote_port" if flow.direction is Direction.OUTBOUND else "local_port")
        alike = {field: getattr(flow, field) for field in fields if self._chance.random() < 0.8}
        return [
            (flow, first, self._chance.choice(INTERFACES)),
            (_without_ports(replace(other, **alike)), second, self._chance.choice(INTERFACES)),
        ]

    def _draw_who(self, family: list[Member]) -> Who:
        if self._chance.random() < 0.03:
            return Who(KERNEL_OWNER, KERNEL)
        one = self._chance.choice(family[:TWINS] if self._chance.random() < 0.4 else family)
        return Who(one.owner, one.attribution)

    def _draw_flow(self, direction: Direction) -> Flow:
        """No two have both ports and addresses alike, so that none answers another."""
        self._flows += 1
        place, own_port = divmod(self._flows, 50_000)
        own = replace(_FLOW, local=HERE[:-1] + bytes([5 + place]), local_port=10_000 + own_port, direction=direction)
        remote, port = parse_address(self._chance.choice(self._remotes)), self._chance.choice(PORTS)
        if direction is Direction.OUTBOUND:
            protocol = self._chance.choice((TCP, UDP, UDP, ICMP))
            return _without_ports(replace(own, protocol=protocol, remote=remote, remote_port=port))
        protocol = self._chance.choice((TCP, UDP))
        return replace(own, protocol=protocol, remote=remote, remote_port=own.local_port, local_port=port)

    def _draw_facts(self) -> Facts:
        return replace(
            RESOLVERS,
            own_addresses=frozenset({HERE}),
            lan=(parse_network("192.168.1.0/24"),),
            hosts={parse_address(REMOTES[0]): ("example.org",)} if self._chance.random() < 0.3 else {},
            lists={"ads": RemoteSet(["ads.example.com"], [parse_network("10.1.9.0/24")])},
            users={"alice": 1000},
            links={str(self._folder / "link"): str(self._folder / "one")},
        )

    def _draw_rule(self, flow: Flow, who: Who, interface: str, most: int) -> Rule:
        """With at most so many columns, most of which match this connection."""
        matching, any_other = self._matching(flow, who, interface), self._any_other()
        columns: dict[str, Any] = {}
        for name in sorted({self._chance.choice(_TESTED) for _ in range(self._chance.randint(0, most))}):
            values = matching[name] if self._chance.random() < 0.9 else any_other[name]
            if values:
                columns[name] = self._chance.choice(values)
        if columns.get("protocol", TCP) not in (TCP, UDP):
            columns.pop("ports", None)
        if self._chance.random() < 0.05:
            columns["until_s"] = int(WALL_S + _read_clock()) + 300
        verdict = self._chance.choice((Verdict.ALLOW, Verdict.ALLOW, Verdict.DENY, Verdict.DENY, Verdict.ASK))
        return Rule(verdict=verdict, direction=flow.direction, **columns)

    def _matching(self, flow: Flow, who: Who, interface: str) -> dict[str, list[Any]]:
        process = who.attribution.process
        network = str(ip_network((format_address(flow.remote), 24), strict=False))
        of_program: dict[str, list[Any]] = {name: [] for name in ("args", "user", "parent", "sha256", "exec_id")}
        programs = [Program(ProgramKind.KERNEL), ANY_PROGRAM]
        if process:
            programs = [Program(ProgramKind.PATH, process.program)] * 3
            programs += [Program(ProgramKind.OWNER, owner) for owner in process.owners]
            programs.append(Program(ProgramKind.GLOB, process.program.rpartition("/")[0] + "/*"))
            of_program = {
                "args": [process.args],
                "user": [str(process.uid)],
                "parent": list(process.parents),
                "sha256": [process.sha256] if process.sha256 else [],
                "exec_id": [process.exec_id],
            }
        by_name = [Remote(kind, name) for kind in (RemoteKind.NAME, RemoteKind.DOMAIN) for name in self._names]
        by_address = [Remote(RemoteKind.NETWORK, text) for text in (format_address(flow.remote), network)]
        return {
            "remote": [*by_address, *by_name],
            "ports": [((flow.port, flow.port),), ((1, 1024),)],
            "protocol": [flow.protocol],
            "program": programs,
            "iface": [interface] if self._chance.random() < 0.2 else [],
            **of_program,
        }

    def _any_other(self) -> dict[str, list[Any]]:
        one = self._chance.choice(self._chance.choice(self._pool.families)).process
        link = Program(ProgramKind.PATH, str(self._folder / "link"))
        return {
            "remote": [ANY_REMOTE, *WORDS, Remote(RemoteKind.NETWORK, self._chance.choice(REMOTES))],
            "ports": [((port, port),) for port in PORTS],
            "protocol": [TCP, UDP, ICMP],
            "program": [link, Program(ProgramKind.PATH, one.program)],
            "args": [one.args],
            "user": ["alice", "0"],
            "parent": [one.program, str(self._folder / "link")],
            "sha256": [one.sha256 or "ab" * 32],
            "iface": INTERFACES,
            "exec_id": [one.exec_id],
        }


_TESTED = ["remote"] * 4 + ["program"] * 3 + ["args", "parent", "ports", "user", "protocol"] * 2
_TESTED += ["sha256", "exec_id", "iface"]
_FLOW = Flow(UDP, Direction.OUTBOUND, HERE, 0, HERE, 0)


def _read_clock() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _without_ports(flow: Flow) -> Flow:
    return flow if flow.protocol in (TCP, UDP) else replace(flow, remote_port=0)


@contextmanager
def opened_comparison(chance: Random, outcome: Outcome) -> Iterator[Comparison]:
    """With programs of its own, in cgroups without an owner, of a unit, and of a container. It adds to the outcome."""
    with BpfPlace() as place, TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        cgroups = [place.cgroup, place.cgroup / "a.service", place.cgroup / f"docker-{'0123456789abcdef' * 4}.scope"]
        for cgroup in cgroups[1:]:
            cgroup.mkdir()
        with KernelSide(place.load()) as kernel:
            yield Comparison(kernel, ProgramPool(kernel, folder, cgroups, chance), folder, chance, outcome)


def compare(pairs: int, seed: int = SEED, tell: Callable[[Outcome], None] = lambda _outcome: None) -> Outcome:
    """Raises Difference, with the seed."""
    outcome, chance = Outcome(), Random(seed)
    while outcome.pairs < pairs:
        with opened_comparison(chance, outcome) as comparison:
            try:
                comparison.run(min(PAIRS_OF_POOL, pairs - outcome.pairs))
            except Difference as error:
                raise Difference(f"pair {outcome.pairs} of seed {seed}: {error}") from None
        tell(outcome)
    return outcome


def say(outcome: Outcome) -> None:
    sys.stdout.write(
        f"{outcome.pairs:,} pairs: the kernel allowed {outcome.allowed:,} and denied {outcome.denied:,} by itself, "
        "each as the engine does\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    compare(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else SEED, say)
