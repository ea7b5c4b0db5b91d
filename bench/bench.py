"""`make bench`: what a connection costs with and without the firewall, side by side in one run, as tables.

Rounds interleave the rows, so that a machine that gets slower does so for all of them. Rates are medians, as are ratios
within each round.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.new_programs import LOADS, measure_new_programs
from bench.opensnitch import METHOD
from bench.prepared_lab import make_ready, prepared_lab
from bench.rows import KINDS, Bench, Measured
from bench.strains import measure_strains
from bench.streams import measure_streams
from tests.lab.lab import Lab

BASELINES = {"bare kernel": "bare", "conntrack only": "conntrack", "every one accepted by a C loop": "the C loop"}
COLUMNS = ["a second", *(f"of {name}" for name in BASELINES.values()), "p50 µs", "p99 µs", "queued"]
COLUMNS += ["daemon CPU s per 10 000", "failed"]
KINDS_AND_THREADS = [("tcp4", 1), ("tcp4", 8), ("udp4", 1), ("udp4", 8), ("tcp6", 1), ("tcp6", 8), ("udp6", 8)]
PARTS = ("connections", *LOADS, "streams", "strains")
CONNECT_S, LOAD_S = 0.7, 2.0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=PARTS, action="append", help="[default: all of them]")
    parser.add_argument("--kind", choices=sorted(KINDS), help="of connection  [default: all of them]")
    parser.add_argument("--threads", type=int, help="of the client  [default: 1 and 8]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--seconds", type=float, help="of each row in each round  [default: 0.7, all but connections 2]"
    )
    return parser.parse_args()


def describe_machine() -> str:
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    iptables = subprocess.run(["iptables", "--version"], capture_output=True, text=True).stdout.strip()
    cores = f"{os.cpu_count()} cores of {model}"
    return f"{cores}, Linux {platform.release()}, Python {platform.python_version()}, {iptables}, commit {commit}"


def format_row(name: str, row: Measured, baselines: list[Measured]) -> str:
    rate, p50, p99 = (
        statistics.median(getattr(sample, field) for sample in row.samples) for field in ("rate", "p50_us", "p99_us")
    )
    failed = sum(sample.failed for sample in row.samples)
    queued = f"{row.queued:,} of {row.count:,}" if row.has_daemon else ""
    cpu = f"{row.cpu_s / row.count * 10_000:.2f}" if row.has_daemon else ""
    ratios = (f"{row.ratio_to(baseline):.2f}" for baseline in baselines)
    cells = [name, f"{rate:,.0f}", *ratios, f"{p50:.1f}", f"{p99:.1f}", queued, cpu, str(failed)]
    return f"| {' | '.join(cells)} |"


def format_table(title: str, bench: Bench) -> str:
    baselines = [bench.rows[name] for name in BASELINES]
    rows = [format_row(name, row, baselines) for name, row in bench.rows.items()]
    return "\n".join([f"| {' | '.join([title, *COLUMNS])} |", f"|---|{'---:|' * len(COLUMNS)}", *rows])


def choose_loads(options: argparse.Namespace) -> Iterator[tuple[str, int]]:
    threads = {options.threads} if options.threads else {1, 8}
    kinds = {options.kind} if options.kind else set(KINDS)
    if options.kind and options.threads:
        yield options.kind, options.threads
        return
    yield from ((kind, number) for kind, number in KINDS_AND_THREADS if kind in kinds and number in threads)


def describe_opensnitch(benches: list[Bench]) -> str:
    version = benches[0].opensnitch
    if version is None:
        return "OpenSnitch is not installed (there is no opensnitchd): it has no row"
    resident_mb = max(mb for bench in benches for mb in bench.opensnitch_mb)
    undecided = sum(bench.opensnitch_undecided for bench in benches)
    memory = f"had {resident_mb:.1f} MB resident"
    return f"OpenSnitch {version} (its method: {METHOD}) {memory} and accepted {undecided} connections undecided"


def measure_connections(lab: Lab, options: argparse.Namespace) -> None:
    benches = []
    seconds = options.seconds or CONNECT_S
    for kind, threads in choose_loads(options):
        bench = Bench(lab, KINDS[kind], seconds, threads)
        benches.append(bench)
        for number in range(options.rounds):
            print(f"{kind}, {threads}: round {number + 1} of {options.rounds}", file=sys.stderr)
            bench.run_round()
        print(format_table(f"{kind}, {threads} thread{'s' * (threads > 1)}", bench), end="\n\n", flush=True)
    rss_mb = max(mb for bench in benches for mb in bench.rss_mb)
    print(f"{options.rounds} rounds of {seconds} s a row; the daemon had {rss_mb:.1f} MB resident")
    print(describe_opensnitch(benches), end="\n\n", flush=True)


def main() -> None:
    options = parse_arguments()
    make_ready()
    print(describe_machine(), end="\n\n", flush=True)
    parts = options.part or PARTS
    with prepared_lab() as lab:
        if "connections" in parts:
            measure_connections(lab, options)
        if loads := [load for part in parts for load in LOADS.get(part, [])]:
            measure_new_programs(lab, loads, options.rounds, options.seconds or LOAD_S)
        if "streams" in parts:
            measure_streams(lab, options.rounds, options.seconds or LOAD_S)
        if "strains" in parts:
            measure_strains(lab, options.rounds, options.seconds or LOAD_S)


if __name__ == "__main__":
    main()
