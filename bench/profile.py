"""`make profile`: where the time of a miss goes, stage by stage, in the real daemon under the load of the lab."""

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.bench import describe_machine
from bench.logging_daemon import LoggingDaemon
from bench.prepared_lab import make_ready, prepared_lab
from bench.profiled_daemon import BEGIN_ANEW, GENERATORS, STAGES, WAITING, WRITE_RESULT
from bench.programs import Sample, program_path, run_connect_loop
from bench.rows import KINDS, RANGE, Kind
from bench.stage_clock import OUTSIDE
from tests.lab.lab import Lab
from tests.lab.patience import PATIENCE

COLUMNS = (("tcp4", 1), ("tcp4", 8), ("udp4", 8))
RESULT_S = 60.0


@dataclass(frozen=True)
class Profile:
    """One load: the client's figures, and those of the daemon's stages."""

    bare: Sample
    missed: Sample
    spent_us: dict[str, float]  # stage → time in it, a miss
    entries: dict[str, float]  # stage → how often it was entered, a miss
    own_us: float  # cost of the clock itself, an entry


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each load")
    return parser.parse_args()


def measure(lab: Lab, kind: Kind, threads: int, seconds: float) -> Profile:
    bare = connect(lab, kind, threads, seconds / 3)
    result = lab.folder / "profile.json"
    rules = f"allow {kind.many} {kind.port} {kind.protocol} {program_path('connect_loop')}\n"
    program = (sys.executable, "-m", "bench.profiled_daemon", str(result))
    daemon = LoggingDaemon(lab, rules, program=program)
    first = connect(lab, kind, threads, seconds / 5)  # a warm-up: whatever is looked up only once has been looked up
    os.kill(daemon.process.pid, BEGIN_ANEW)
    missed = connect(lab, kind, threads, seconds, first.count)
    os.kill(daemon.process.pid, WRITE_RESULT)
    found = json.loads(await_file(result))
    daemon.stop()
    return Profile(
        bare,
        missed,
        {stage: ns / 1000 / missed.count for stage, ns in found["spent_ns"].items()},
        {stage: number / missed.count for stage, number in found["entries"].items()},
        found["own_ns"] / 1000,
    )


def connect(lab: Lab, kind: Kind, threads: int, seconds: float, offset: int = 0) -> Sample:
    words = [*kind.flags, "-t", str(threads), "-s", str(seconds), "-r", str(RANGE), "-o", str(offset)]
    return run_connect_loop(lab, *words, kind.many_first, kind.port)


def await_file(path: Path) -> str:
    deadline_s = time.monotonic() + RESULT_S * PATIENCE
    while not path.exists():
        if time.monotonic() > deadline_s:
            raise RuntimeError("the daemon wrote no profile")
        time.sleep(0.02)
    text = path.read_text()
    path.unlink()
    return text


def list_stages() -> list[str]:
    """The stages in the order of the table."""
    first = [WAITING, OUTSIDE]
    return list(dict.fromkeys([*first, *(stage for _owner, _name, stage in (*STAGES[:8], *GENERATORS, *STAGES[8:]))]))


def format_table(profiles: list[Profile]) -> str:
    heads = [f"{kind}, {threads} thread{'s' * (threads > 1)}" for kind, threads in COLUMNS]
    lines = [f"| µs a miss | {' | '.join(heads)} |", "|---|" + "---:|" * len(heads)]
    for stage in list_stages():
        lines.append(format_row(stage, [f"{one.spent_us.get(stage, 0.0):.1f}" for one in profiles]))
    busy = [sum(one.spent_us.values()) - one.spent_us[WAITING] for one in profiles]
    own = [sum(one.entries.values()) * one.own_us for one in profiles]
    lines.append(format_row("**all but waiting**", [f"{us:.1f}" for us in busy]))
    lines.append(format_row("of that, this clock", [f"{us:.1f}" for us in own]))
    lines.append(format_row("packets a batch", [f"{1 / one.entries['driver']:.1f}" for one in profiles]))
    lines.append(format_row("client: misses a second", [f"{one.missed.rate:,.0f}" for one in profiles]))
    lines.append(format_row("client: p50 µs of a miss", [f"{one.missed.p50_us:.1f}" for one in profiles]))
    lines.append(format_row("client: p50 µs without a firewall", [f"{one.bare.p50_us:.1f}" for one in profiles]))
    return "\n".join(lines)


def format_row(name: str, cells: list[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    options = parse_arguments()
    make_ready()
    with prepared_lab() as lab:
        profiles = [measure(lab, KINDS[kind], threads, options.seconds) for kind, threads in COLUMNS]
    print(describe_machine(), end="\n\n")
    print(format_table(profiles))


if __name__ == "__main__":
    main()
