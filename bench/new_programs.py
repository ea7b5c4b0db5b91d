"""Programs that are new each time, as a shell loop starts them: how many a second, and what the daemon does for each.

Rules allow the programs, so only the first of each is unknown. Rounds interleave the firewalls; every other round is in
reverse order, so that none always profits from the one before it.
"""

import shutil
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.daemon_cost import read_cpu_s
from bench.logging_daemon import LoggingDaemon
from bench.opensnitch import OpenSnitch, find_version
from bench.programs import Sample, parse_sample, program_path
from bench.rows import CONNTRACK, PORT, Measured, output_rule
from bench.strains import count_arrived
from tests.lab.lab import Lab
from tests.lab.queue_counter import count_queued
from tests.lab.world import PAGE_NAMES, WORLD4

NAME = "four.test"
SINK_PORT = "9"  # no one listens there; the world counts what arrives all the same
SMALL, CURL, DIG, GIT = program_path("short_lived"), "/usr/bin/curl", "/usr/bin/dig", "/usr/bin/git"
GIT_HTTP = "/usr/lib/git-core/git-remote-http"  # what git starts for a repository over HTTP
CHROMIUM = "/usr/lib/chromium/chromium"
PAGE = "page.html"
LOADED = "all is here"
# With a new profile each time. It fails unless the page has loaded all that it names.
BROWSE = f"""
profile=$(mktemp -d); trap 'rm -r "$profile"' EXIT
chromium --headless --no-sandbox --disable-gpu --user-data-dir="$profile" --timeout=60000 --dump-dom "$0" |
grep -q "{LOADED}"
"""
RULES = f"""allow @resolvers 53 udp
allow {WORLD4} {PORT} tcp {SMALL}
allow {WORLD4} {SINK_PORT} udp {SMALL}
allow {NAME} 80 tcp {CURL}
allow {NAME} 80 tcp {GIT_HTTP}
allow *.test 80 tcp {CHROMIUM}
allow @resolvers 53 udp {CHROMIUM}
deny - - - {CHROMIUM}
"""
WARM_UP_S = 0.05
REPOSITORY = """
git init -q "$0.work"; cd "$0.work"; git -c user.name=a -c user.email=a@b.test commit -q --allow-empty -m x
git clone -q --bare . "$0"; git -C "$0" update-server-info; rm -r "$0.work"
"""
COLUMNS = ["a second", "of bare", "of conntrack", "p50 µs", "daemon CPU µs each", "queued each", "failed"]


@dataclass(frozen=True)
class Load:
    name: str
    command: tuple[str, ...]
    at_a_time: int = 1
    is_datagram: bool = False


PROGRAMS = [
    *(
        Load(f"{kind}, {words} at a time", (SMALL, "once", kind.lower(), WORLD4, port, "0"), number, kind == "UDP")
        for kind, port in (("TCP", PORT), ("UDP", SINK_PORT))
        for words, number in (("one", 1), ("eight", 8))
    ),
    Load("curl by name", (CURL, "-sS", f"http://{NAME}/")),
    Load("dig", (DIG, "+short", NAME)),
    Load("git ls-remote over HTTP", (GIT, "ls-remote", f"http://{NAME}/x.git")),
]
PAGE_LOAD = Load("a page of 20 names in a fresh Chromium", ("sh", "-c", BROWSE, f"http://{PAGE_NAMES[0]}/{PAGE}"))
LOADS = {"programs": PROGRAMS, "page": [PAGE_LOAD] if shutil.which("chromium") else []}


class NewPrograms:
    """The lab is prepared."""

    def __init__(self, lab: Lab, loads: list[Load], seconds: float) -> None:
        self._lab = lab
        self._loads = loads
        self._seconds = seconds
        self._firewalls: dict[str, Callable[[], AbstractContextManager[int | None]]] = {
            "bare kernel": self._nothing,
            "conntrack only": self._conntrack,
            "ours": self._ours,
        }
        if version := find_version(lab):
            self._firewalls[f"OpenSnitch {version}"] = self._opensnitch
        self.rows = {load.name: {name: Measured() for name in self._firewalls} for load in loads}
        self._lay_out_site(lab.folder / "world" / "www")

    def _lay_out_site(self, site: Path) -> None:
        """A repository, and a page that changes its title once it has a picture from each of 20 names."""
        self._lab.run_outside(["sh", "-ec", REPOSITORY, str(site / "x.git")]).check_returncode()
        pictures = "".join(f'<img src="http://{name}/dot.svg">' for name in PAGE_NAMES[:20])
        (site / PAGE).write_text(f"<html><body onload=\"document.title = '{LOADED}'\">{pictures}</body></html>")
        (site / "dot.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>')

    def run_round(self, *, is_turned: bool) -> None:
        firewalls = list(self._firewalls.items())
        for name, stand in reversed(firewalls) if is_turned else firewalls:
            with stand() as pid:
                for load in self._loads:
                    self._start(load, WARM_UP_S)
                    self._measure(load, self.rows[load.name][name], pid)

    def _measure(self, load: Load, row: Measured, pid: int | None) -> None:
        if pid is None:
            row.samples.append(self._start(load, self._seconds))
            return
        row.has_daemon = True
        cpu_s, queued = read_cpu_s(pid), count_queued(self._lab)
        row.samples.append(self._start(load, self._seconds))
        row.cpu_s += read_cpu_s(pid) - cpu_s
        row.queued += count_queued(self._lab) - queued

    def _start(self, load: Load, seconds: float) -> Sample:
        """A datagram's program does not learn whether it was dropped, so the world counts."""
        arrived = count_arrived(self._lab)
        words = ["-t", str(load.at_a_time), "-s", str(seconds), *load.command]
        sample = parse_sample(self._lab.run([program_path("start_loop"), *words], timeout_s=60))
        if not load.is_datagram:
            return sample
        lost = sample.count - (count_arrived(self._lab) - arrived)
        return msgspec.structs.replace(sample, failed=sample.failed + max(0, lost))

    @contextmanager
    def _nothing(self) -> Iterator[None]:
        yield

    @contextmanager
    def _conntrack(self) -> Iterator[None]:
        with output_rule(self._lab, CONNTRACK):
            yield

    @contextmanager
    def _ours(self) -> Iterator[int]:
        daemon = LoggingDaemon(self._lab, RULES)
        yield daemon.process.pid
        daemon.stop()

    @contextmanager
    def _opensnitch(self) -> Iterator[int]:
        opensnitch = OpenSnitch(self._lab, SMALL, CURL, DIG, GIT_HTTP, CHROMIUM)
        yield opensnitch.process.pid
        opensnitch.stop()


def format_row(load: str, firewall: str, row: Measured, baselines: list[Measured]) -> str:
    rate, p50 = (statistics.median(getattr(sample, name) for sample in row.samples) for name in ("rate", "p50_us"))
    cells = [
        load,
        firewall,
        f"{rate:,.{0 if rate > 100 else 2}f}",
        *(f"{row.ratio_to(each):.2f}" for each in baselines),
        f"{p50:,.0f}",
        f"{row.cpu_s / row.count * 1e6:,.0f}" if row.has_daemon else "",
        f"{row.queued / row.count:.3f}" if row.has_daemon else "",
        str(sum(sample.failed for sample in row.samples)),
    ]
    return f"| {' | '.join(cells)} |"


def measure_new_programs(lab: Lab, loads: list[Load], rounds: int, seconds: float) -> None:
    bench = NewPrograms(lab, loads, seconds)
    for number in range(rounds):
        print(f"new programs: round {number + 1} of {rounds}", file=sys.stderr)
        bench.run_round(is_turned=number % 2 == 1)
    print(f"| new programs | | {' | '.join(COLUMNS)} |\n|---|---|{'---:|' * len(COLUMNS)}")
    for load, rows in bench.rows.items():
        baselines = [rows["bare kernel"], rows["conntrack only"]]
        for firewall, row in rows.items():
            print(format_row(load, firewall, row, baselines))
    print(f"\n{rounds} rounds of {seconds} s a row", end="\n\n", flush=True)
