"""`make bench`: what a connection costs with and without the firewall, side by side in one run, as a table.

Rounds interleave the rows, so that a machine that gets slower does so for all of them; the medians are printed.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

from bench.programs import compile_programs
from bench.rows import KINDS, Bench, Measured
from tests.lab.lab import Lab
from tests.lab.namespaces import remove_stale

COLUMNS = "| | connections/s | of bare | p50 µs | p99 µs | queued | daemon CPU s per 10 000 | failed |"
RULER = "|---|---:|---:|---:|---:|---:|---:|---:|"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=sorted(KINDS), default="tcp4")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each row in each round")
    parser.add_argument("--threads", type=int, default=1, help="of the client")
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


def format_row(name: str, row: Measured, bare_rate: float, has_daemon: bool) -> str:
    rate = statistics.median(sample.rate for sample in row.samples)
    p50 = statistics.median(sample.p50_us for sample in row.samples)
    p99 = statistics.median(sample.p99_us for sample in row.samples)
    failed = sum(sample.failed for sample in row.samples)
    queued = f"{row.queued / row.count:.3f}" if has_daemon else ""
    cpu = f"{row.cpu_s / row.count * 10_000:.2f}" if has_daemon else ""
    return f"| {name} | {rate:,.0f} | {rate / bare_rate:.2f} | {p50:.1f} | {p99:.1f} | {queued} | {cpu} | {failed} |"


def format_table(bench: Bench) -> str:
    bare_rate = statistics.median(sample.rate for sample in bench.rows["bare kernel"].samples)
    with_daemon = list(bench.rows)[3:]
    rows = [format_row(name, row, bare_rate, name in with_daemon) for name, row in bench.rows.items()]
    return "\n".join([COLUMNS, RULER, *rows])


def main() -> int:
    options = parse_arguments()
    if os.geteuid() != 0:
        print(
            "tinysnitch: error: the benchmark makes network namespaces\ntinysnitch: hint: run it as root",
            file=sys.stderr,
        )
        return 4
    compile_programs()
    remove_stale()
    with Lab() as lab:
        bench = Bench(lab, KINDS[options.kind], options.seconds, options.threads)
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
            bench.run_round()
    print(f"{options.kind}, {options.threads} thread(s), {options.rounds} rounds of {options.seconds} s a row")
    print(describe_machine(), end="\n\n")
    print(format_table(bench))
    print(f"\nresident memory of the daemon: {max(bench.rss_mb):.1f} MB, at its highest {max(bench.peak_mb):.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
