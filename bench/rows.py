"""The rows of the table: each puts the lab into one state and measures in it, so that rounds can interleave them."""

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Self

from bench.daemon_cost import read_cpu_s, read_resident_mb
from bench.logging_daemon import LoggingDaemon
from bench.opensnitch import OpenSnitch, find_version
from bench.programs import EVERYWHERE, Sample, program_path, run_connect_loop, start_listening
from tests.lab.lab import Lab
from tests.lab.leftovers import NETNS_FOLDER
from tests.lab.queue_counter import count_queued
from tests.lab.world import WORLD4, WORLD6

PORT = "9000"
DENIED_PORT = "9001"
ECHO_PORT = "9002"
# Networks routed to the world's loopback, so that every connection can have a remote address of its own.
MANY4, MANY4_FIRST = "10.128.0.0/9", "10.128.0.1"
MANY6, MANY6_FIRST = "fd78::/64", "fd78::1"
RANGE = 4_000_000
CROWD = 50_000  # remotes of a port scan or of a peer-to-peer client
QUEUE = "60"
CONNTRACK = "-m conntrack --ctstate INVALID -j DROP"  # matches nothing, but makes conntrack track everything
GOAL = 0.65  # of the C loop's rate
PACE = 10_000  # a second. At full rate the p50 is half as long or twice, depending on whether the server was awake


@dataclass(frozen=True)
class Kind:
    """A kind of traffic: what the client connects to, and how."""

    flags: tuple[str, ...]
    protocol: str
    remote: str
    many: str
    many_first: str
    port: str = PORT


# A datagram counts once its echo is back: a datagram that is merely sent may still be queued, or be lost.
KINDS = {
    "tcp4": Kind((), "tcp", WORLD4, MANY4, MANY4_FIRST),
    "tcp6": Kind((), "tcp", WORLD6, MANY6, MANY6_FIRST),
    "udp4": Kind(("-u", "-e"), "udp", WORLD4, MANY4, MANY4_FIRST, ECHO_PORT),
    "udp6": Kind(("-u", "-e"), "udp", WORLD6, MANY6, MANY6_FIRST, ECHO_PORT),
}


@dataclass
class Measured:
    """All samples of one row, and what the daemon used for them."""

    samples: list[Sample] = field(default_factory=list)
    cpu_s: float = 0.0
    queued: int = 0  # packets that were queued for user space
    has_daemon: bool = False

    @property
    def count(self) -> int:
        return sum(sample.count for sample in self.samples)

    def ratio_to(self, baseline: Self) -> float:
        """The median of the ratios within each round: a machine that gets slower does so for both."""
        rates = zip(self.samples, baseline.samples, strict=True)
        return statistics.median(sample.rate / base.rate for sample, base in rates)


class Bench:
    """One lab, one kind of traffic, and the rows measured so far. The lab is prepared."""

    def __init__(self, lab: Lab, kind: Kind, seconds: float, threads: int) -> None:
        self._lab = lab
        self._kind = kind
        self._seconds = seconds
        self._threads = threads
        self._next_offset = 0
        self.rows: dict[str, Measured] = {}
        self.rss_mb: list[float] = []
        self.opensnitch = find_version(lab)
        self.opensnitch_mb: list[float] = []
        self.opensnitch_undecided = 0

    def run_round(self) -> None:
        self._measure("bare kernel", self._connect)
        self._measure_paced("bare kernel")
        self._measure("bare kernel, 50,000 remotes", self._connect_to_crowd)
        with output_rule(self._lab, CONNTRACK):
            self._measure("conntrack only", self._connect)
            self._measure_paced("conntrack only")
        with self._accept_all():  # to new remotes, like our misses: a UDP flow whose ports are used again is not NEW
            self._measure("every one accepted by a C loop", self._connect_to_many)
        daemon = LoggingDaemon(self._lab, self._rules())
        self._measure_paced("cached allow", daemon)
        for name, measure in self._daemon_rows():
            self._measure(name, measure, daemon)
        self.rss_mb.append(read_resident_mb(daemon.process.pid))
        daemon.stop()
        if self.opensnitch is not None:
            self._measure_opensnitch(f"every one decided by OpenSnitch {self.opensnitch}")

    def _measure_opensnitch(self, name: str) -> None:
        """With the same connections as in our row of misses."""
        opensnitch = OpenSnitch(self._lab, program_path("connect_loop"))
        self._measure(name, self._connect_to_many, opensnitch)
        self.opensnitch_mb.append(read_resident_mb(opensnitch.process.pid))
        self.opensnitch_undecided += opensnitch.count_undecided()
        opensnitch.stop()

    def _daemon_rows(self) -> Iterator[tuple[str, Callable[[], Sample]]]:
        """The order matters: within a minute of a denial the kernel checks more (bpf/verdict/late_check.bpf.h)."""
        c_rate = self.rows["every one accepted by a C loop"].samples[-1].rate
        yield "cached allow", self._connect
        yield "allowed everywhere, 50,000 remotes", self._connect_to_crowd
        yield "cached deny", lambda: self._connect(port=DENIED_PORT)
        yield "cached allow, within a minute of a denial", self._connect
        yield "every one a miss", self._connect_to_many
        yield "a miss, at half the rate of the goal", lambda: self._connect_to_many(c_rate * GOAL / 2)

    def _rules(self) -> str:
        program = program_path("connect_loop")
        kind = self._kind
        allowed = [f"allow {remote} {kind.port} {kind.protocol} {program}" for remote in (kind.remote, kind.many)]
        denied = f"deny {kind.remote} {DENIED_PORT} {kind.protocol} {program}"
        return "\n".join([*allowed, denied, f"allow - - - {program_path(EVERYWHERE)}", ""])

    def _measure(
        self, name: str, measure: Callable[[], Sample], daemon: LoggingDaemon | OpenSnitch | None = None
    ) -> None:
        row = self.rows.setdefault(name, Measured(has_daemon=daemon is not None))
        if daemon is None:
            row.samples.append(measure())
            return
        cpu_s, queued = read_cpu_s(daemon.process.pid), count_queued(self._lab)
        row.samples.append(measure())
        row.cpu_s += read_cpu_s(daemon.process.pid) - cpu_s
        row.queued += count_queued(self._lab) - queued

    def _measure_paced(self, name: str, daemon: LoggingDaemon | None = None) -> None:
        """At a fixed rate, for its p50. With one thread alone: several would wait for each other."""
        if self._threads == 1:
            words = ["-p", str(PACE), self._kind.remote, self._kind.port]
            paced = partial(run_connect_loop, self._lab, *self._words(), *words)
            self._measure(f"{name}, {PACE:,} a second", paced, daemon)

    def _connect(self, port: str | None = None) -> Sample:
        return run_connect_loop(self._lab, *self._words(), self._kind.remote, port or self._kind.port)

    def _connect_to_crowd(self) -> Sample:
        words = [*self._words(), "-r", str(CROWD), self._kind.many_first, self._kind.port]
        return run_connect_loop(self._lab, *words, program=EVERYWHERE)

    def _connect_to_many(self, pace: float = 0) -> Sample:
        words = [*self._words(), "-r", str(RANGE), "-o", str(self._next_offset), "-p", str(pace)]
        sample = run_connect_loop(self._lab, *words, self._kind.many_first, self._kind.port)
        self._next_offset += sample.count
        return sample

    def _words(self) -> list[str]:
        return [*self._kind.flags, "-t", str(self._threads), "-s", str(self._seconds)]

    @contextmanager
    def _accept_all(self) -> Iterator[None]:
        loop = self._lab.spawn_outside([program_path("accept_all"), QUEUE])
        start_listening(loop)
        with output_rule(self._lab, f"-m conntrack --ctstate NEW -j NFQUEUE --queue-num {QUEUE}"):
            yield
        loop.kill()
        loop.wait()


@contextmanager
def output_rule(lab: Lab, rule: str) -> Iterator[None]:
    """A netfilter rule for packets that the lab's host sends."""
    for program in ("iptables", "ip6tables"):
        must(lab, [program, "-t", "mangle", "-A", "OUTPUT", *rule.split()])
    try:
        yield
    finally:
        for program in ("iptables", "ip6tables"):
            must(lab, [program, "-t", "mangle", "-D", "OUTPUT", *rule.split()])


def prepare(lab: Lab) -> None:
    """The servers, the many addresses, and a conntrack table that does not fill up with closed connections."""
    names = lab.namespaces
    must(lab, ["nsenter", f"--net={NETNS_FOLDER / names.world}", "sysctl", "-qw", "net.core.somaxconn=65535"])
    start_listening(lab.spawn_world([program_path("accept_loop"), PORT]))
    start_listening(lab.spawn_world([program_path("echo_loop"), ECHO_PORT]))
    for family, many, gateway in (("-4", MANY4, WORLD4), ("-6", MANY6, WORLD6)):
        must(lab, ["ip", "-n", names.world, family, "route", "add", "local", many, "dev", "lo"])
        must(lab, ["ip", "-n", names.host, family, "route", "add", many, "via", gateway])
    for name in ("tcp_timeout_close", "udp_timeout"):
        must(lab, ["sh", "-c", f"echo 1 >/proc/sys/net/netfilter/nf_conntrack_{name}"])


def must(lab: Lab, command: list[str]) -> None:
    done = lab.run_outside(command)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
