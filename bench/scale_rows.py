"""Few and many rules and names, side by side: how soon the daemon is ready, what it weighs, and how fast it decides.

Every remote has a name from /etc/hosts, so that each miss looks it up in the list and finds nothing.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.daemon_cost import read_cpu_s, read_resident_mb
from bench.generated import generate_names, generate_rules, write_list
from bench.programs import Sample, program_path, run_connect_loop
from bench.rows import MANY4, MANY4_FIRST, PORT, must
from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.world import WORLD4

STARTS = 5  # at most; no more than there are rounds
NAMED_REMOTES = 40_000  # more than a second's misses
CACHED = "cached"
_FIRST = 10 << 24 | 128 << 16 | 1  # MANY4_FIRST


@dataclass(frozen=True)
class Scale:
    rules: int
    names: int

    def __str__(self) -> str:
        return f"{self.rules:,} rules, " + (f"{self.names:,} names" if self.names else "no list")


@dataclass
class Measured:
    first_ready_s: float = 0.0  # with lists that were never read before
    ready_s: list[float] = field(default_factory=list)  # with nothing changed since the last start
    rss_mb: float = 0.0
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    misses: int = 0
    misses_cpu_s: float = 0.0  # CPU time of the daemon

    @property
    def us_a_miss(self) -> float:
        return self.misses_cpu_s / self.misses * 1e6


class ScaleBench:
    """One lab; the rows are measured in rounds that interleave the scales."""

    def __init__(self, lab: Lab, scales: list[Scale], seconds: float) -> None:
        self._lab = lab
        self._seconds = seconds
        self.rows = {scale: Measured() for scale in scales}
        self._folders = {scale: self._prepare(scale, number) for number, scale in enumerate(scales)}

    def _prepare(self, scale: Scale, number: int) -> Path:
        folder = self._lab.folder / f"scale-{number}"
        (folder / "lists").mkdir(parents=True)
        write_list(folder / "lists" / "ads", scale.names)
        program = program_path("connect_loop")
        rules = [f"allow {remote} {PORT} tcp {program}" for remote in (WORLD4, MANY4)]
        rules += ["deny @ads - -"] if scale.names else []
        rules += generate_rules(scale.rules - len(rules))
        (folder / "rules").write_text("\n".join([*rules, ""]))
        return folder

    def weigh(self, rounds: int) -> None:
        """Time the starts, and measure memory before anything is decided. The first start reads all files anew."""
        for scale, row in self.rows.items():
            row.first_ready_s = self._time_start(scale, row)
            row.ready_s = [self._time_start(scale, row) for _ in range(min(STARTS, rounds))]

    def _time_start(self, scale: Scale, row: Measured) -> float:
        start_s = time.monotonic()
        daemon = self._start(scale)
        ready_s = time.monotonic() - start_s
        row.rss_mb = read_resident_mb(daemon.process.pid)
        daemon.stop()
        return ready_s

    def give_names(self) -> None:
        """Give the remotes names, in an /etc/hosts of the lab alone."""
        hosts = self._lab.folder / "hosts"
        with hosts.open("w") as file:
            for number, name in enumerate(generate_names(NAMED_REMOTES, seed=5)):
                address = (_FIRST + number).to_bytes(4)
                file.write(f"{'.'.join(map(str, address))} {name}\n")
            file.write(f"{WORLD4} the.world.test\n")
        must(self._lab, ["mount", "--bind", str(hosts), "/etc/hosts"])

    def run_round(self, is_turned: bool) -> None:
        """Every other round in reverse order, so that none always profits from the one before it."""
        for scale, row in reversed(self.rows.items()) if is_turned else self.rows.items():
            daemon = self._start(scale)
            self._connect("1", WORLD4)  # until the verdict is in the cache
            before_s = read_cpu_s(daemon.process.pid)
            for name, measure in self._measures():
                sample = measure()
                row.samples.setdefault(name, []).append(sample)
                row.misses += sample.count if name != CACHED else 0
            row.misses_cpu_s += read_cpu_s(daemon.process.pid) - before_s
            daemon.stop()

    def _start(self, scale: Scale) -> Daemon:
        folder = self._folders[scale]
        return self._lab.restart_daemon(folder, "--lists", str(folder / "lists"))

    def _measures(self) -> Iterator[tuple[str, Callable[[], Sample]]]:
        yield CACHED, lambda: self._connect("1", WORLD4)
        half = str(NAMED_REMOTES // 2)
        yield "misses", lambda: self._connect("1", MANY4_FIRST, "-r", half)
        yield "misses, 16 threads", lambda: self._connect("16", MANY4_FIRST, "-r", half, "-o", half)

    def _connect(self, threads: str, remote: str, *words: str) -> Sample:
        return run_connect_loop(self._lab, "-t", threads, "-s", str(self._seconds), *words, remote, PORT)
