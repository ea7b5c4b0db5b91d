"""One row of the table: some thousand short lives, and what the log says of each."""

import json
import subprocess
import time
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from bench.programs import program_path
from tests.lab.daemon import Daemon, Record
from tests.lab.lab import Lab

LOOK_S, QUIET_LOOKS = 0.5, 6  # looks in a row without a new line in the log: then the log is complete


@dataclass(frozen=True)
class Scenario:
    name: str
    kind: str  # tcp, udp
    count: int
    at_a_time: int
    a_second: int  # 0: as fast as the machine can
    remote: str
    port: int
    load: AbstractContextManager[object] = field(default_factory=nullcontext)


@dataclass
class Outcome:
    made: int = 0
    right: int = 0
    wrong: int = 0
    unknown: int = 0
    lost: int = 0
    seconds: float = 0.0
    others: int = 0  # connections of others that were decided meanwhile
    losses: Counter[str] = field(default_factory=Counter)  # what the daemon says it lost
    examples: list[Record] = field(default_factory=list)


def spawn_short_lives(lab: Lab, scenario: Scenario) -> tuple[dict[int, int], float]:
    """Start them all. Returns each one's number → pid, and the seconds that it took."""
    words = map(str, (scenario.count, scenario.at_a_time, scenario.a_second, scenario.remote, scenario.port))
    done = lab.run([program_path("short_lived"), "spawn", scenario.kind, *words], timeout_s=900)
    *lines, last = done.stdout.splitlines()
    return dict(tuple(map(int, line.split())) for line in lines), float(last.split()[1])


def run_scenario(lab: Lab, daemon: Daemon, scenario: Scenario) -> Outcome:
    with scenario.load:
        pids, seconds = spawn_short_lives(lab, scenario)
    records = wait_quiet(daemon, scenario)
    outcome = judge(pids, seconds, records)
    outcome.others = len(daemon.records("connection")) - len(records)
    for what, count in json.loads(daemon.cli("status", "--json").stdout)["losses"].items():
        if count and not what.endswith("evicted"):
            outcome.losses[what] += count
    return outcome


def wait_quiet(daemon: Daemon, scenario: Scenario) -> list[Record]:
    """All decisions on the scenario's port, once no more are logged. Looks are counted, not seconds: in a second the
    host may have given nobody a processor."""
    count, quiet_looks = -1, 0
    while True:
        found = [record for record in daemon.records("connection") if record["remote_port"] == scenario.port]
        quiet_looks = quiet_looks + 1 if len(found) == count else 0
        count = len(found)
        if count >= scenario.count or quiet_looks == QUIET_LOOKS:
            return found
        time.sleep(LOOK_S)


def judge(pids: dict[int, int], seconds: float, records: list[Record]) -> Outcome:
    """Each connection is identified by the number among its program's arguments; the pid was noted at its start."""
    outcome = Outcome(made=len(pids), seconds=seconds)
    seen: Counter[int] = Counter()
    for record in records:
        if record["attribution"] == "unknown":
            outcome.unknown += 1
            continue
        number = int(record["args"][-1]) if record["args"] else -1
        seen[number] += 1
        is_right = record["pid"] == pids.get(number) and record["uid"] == 0
        if is_right and record["program"] == program_path("short_lived") and seen[number] == 1:
            outcome.right += 1
        else:
            outcome.wrong += 1
            outcome.examples.append(record)
    outcome.lost = outcome.made - outcome.right - outcome.wrong - outcome.unknown
    return outcome


class Load:
    """5 000 other connections a second, each to a new remote, so that each is a miss."""

    def __init__(self, lab: Lab, first: str, count: int, port: str) -> None:
        self._lab = lab
        self._words = ["-t", "16", "-s", "300", "-p", "5000", "-r", str(count), first, port]

    def __enter__(self) -> None:
        self._loop: subprocess.Popen[str] = self._lab.spawn([program_path("connect_loop"), *self._words])

    def __exit__(self, *_error: object) -> None:
        self._loop.kill()
        self._loop.wait(timeout=10)
