"""`make bench-names`: what names, lists and many rules cost, as tables. Generated names, always the same ones."""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.bench import describe_machine
from bench.generated import write_list
from bench.prepared_lab import make_ready, prepared_lab
from bench.scale_rows import Measured, Scale, ScaleBench

FEW = 10
AIM = 0.97


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="of connections")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each row in each round")
    parser.add_argument("--messages", type=int, default=20_000, help="of DNS")
    parser.add_argument("--names", type=int, default=1_000_000, help="in the longest list")
    parser.add_argument("--rules", type=int, default=10_000, help="of the daemon with many")
    return parser.parse_args()


def run_alone(*words: str) -> tuple[str, float]:
    """What a Python module prints, and the seconds it took. Run by a process of its own, whose memory is measured."""
    start_s = time.monotonic()
    done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, check=True)
    return done.stdout, time.monotonic() - start_s


def print_lists(names: int) -> None:
    print(
        "| names in the list | a hit, µs | a miss, µs | look-ups/s | more memory, MB | first load, s | unchanged, s |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for count in (FEW, names // 10, names):
            path, compiled = Path(folder) / "list", Path(folder) / "compiled"
            write_list(path, count)
            first_s = run_alone("tinysnitch.store.list_compiler", str(path), str(compiled))[1]
            measured: dict[str, Any] = json.loads(run_alone("bench.name_cost", "list", str(compiled), str(count))[0])
            numbers = f"{measured['hit_us']:.2f} | {measured['miss_us']:.2f} | {1e6 / measured['miss_us']:,.0f}"
            memory = f"{measured['more_mb']:.1f} | {first_s:.1f} | {measured['load_s']:.3f}"
            print(f"| {count:,} | {numbers} | {memory} |", flush=True)


def print_rules(rules: int) -> None:
    """How long verdicts wait while a rules file is read; the first time is before there are any."""
    print("| rules | first read, ms | an edit, ms | an answer, ms |")
    print("|---:|---:|---:|---:|")
    for count in (rules // 10, rules, rules * 10):
        measured: dict[str, float] = json.loads(run_alone("bench.name_cost", "rules", str(count))[0])
        numbers = " | ".join(f"{measured[what] * 1e3:.0f}" for what in ("first_s", "edit_s", "answer_s"))
        print(f"| {count:,} | {numbers} |", flush=True)


def format_scales(bench: ScaleBench) -> Iterator[str]:
    kinds = list(next(iter(bench.rows.values())).samples)
    yield (
        "| | "
        + " | ".join(f"{kind}/s | ratio" for kind in kinds)
        + " | CPU µs a miss | first ready, s | ready, s | memory, MB |"
    )
    yield "|---|" + "---:|" * (2 * len(kinds) + 4)
    few = next(iter(bench.rows.values()))
    for scale, row in bench.rows.items():
        rates = (f"{median_rate(row, kind):,.0f} | {ratio(row, few, kind):.3f}" for kind in kinds)
        ready = f"{row.first_ready_s:.2f} | {statistics.median(row.ready_s):.2f}"
        yield f"| {scale} | {' | '.join(rates)} | {row.us_a_miss:.1f} | {ready} | {row.rss_mb:.1f} |"


def median_rate(row: Measured, kind: str) -> float:
    return statistics.median(sample.rate for sample in row.samples[kind])


def ratio(row: Measured, few: Measured, kind: str) -> float:
    """The median of the ratios within each round, so that what slows a whole round down does not count."""
    pairs = zip(row.samples[kind], few.samples[kind], strict=True)
    return statistics.median(one.rate / other.rate for one, other in pairs)


def measure_scales(options: argparse.Namespace) -> ScaleBench:
    scales = [Scale(FEW, 0), Scale(FEW, options.names), Scale(options.rules, options.names)]
    with prepared_lab() as lab:
        bench = ScaleBench(lab, scales, options.seconds)
        bench.weigh(options.rounds)
        bench.give_names()
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
            bench.run_round(number % 2 == 1)
    return bench


def main() -> None:
    options = parse_arguments()
    make_ready()
    print(describe_machine(), end="\n\n")
    talk: dict[str, float] = json.loads(run_alone("bench.name_cost", "talk", str(options.messages))[0])
    print(f"DNS messages parsed and learned: {talk['messages_a_second']:,.0f} a second\n")
    print_lists(options.names)
    print()
    print_rules(options.rules)
    bench = measure_scales(options)
    print(f"\n{options.rounds} rounds of {options.seconds} s a row; the aim is a ratio of {AIM}\n")
    print("\n".join(format_scales(bench)))


if __name__ == "__main__":
    main()
