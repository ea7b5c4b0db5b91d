"""`make bench-attribution`: how many short-lived programs are named right, and what that costs, as two tables."""

import argparse
import json
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.attribution_rows import Load, Outcome, Scenario, run_scenario, spawn_short_lives
from bench.bench import describe_machine
from bench.counted_runs import counted_runs
from bench.prepared_lab import make_ready, prepared_lab
from bench.programs import program_path
from bench.rows import MANY4_FIRST, PORT, RANGE
from bench.strains import count_arrived
from tests.lab.lab import Lab
from tests.lab.patience import wait_until
from tests.lab.world import WORLD4

SMALL = program_path("short_lived")
KNOWN = f"allow - - - {SMALL}\n"
# Each short life has other arguments, each connection of the flood a remote of its own, and rules ask for these. So all
# are misses: the kernel lets go by itself what is alike in all that a decision rests on, and does not log it.
ALLOW_ALL = f"allow 0.0.0.0/0 - -\nallow ::/0 - -\nallow - - -src\ndeny - - - {SMALL} never\n"
COST = Path(__file__).with_name("bpf_cost.py")
EXEC_PROGRAMS = ("on_exec", "on_fork", "on_exit")
EXECS = 1000  # at most; no more than short lives


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="of short lives in the large rows")
    parser.add_argument("--rounds", type=int, default=9, help="of execs with and without")
    return parser.parse_args()


def list_scenarios(lab: Lab, count: int) -> Iterator[Scenario]:
    yield Scenario("one TCP connection each, 2 000 at a time", "tcp", count, 2000, 0, WORLD4, 9000)
    yield Scenario("one UDP datagram each, gone at once", "udp", count, 2000, 1500, WORLD4, 9)
    load = Load(lab, MANY4_FIRST, RANGE, PORT)
    yield Scenario("TCP, beside a flood of misses", "tcp", count // 10, 200, 500, WORLD4, 80, load)
    yield Scenario("UDP, beside a flood of misses", "udp", count // 10, 200, 500, WORLD4, 10, load)


def list_degraded_scenarios(count: int) -> Iterator[Scenario]:
    yield Scenario("without BPF: TCP", "tcp", count // 100, 20, 100, WORLD4, 9000)
    yield Scenario("without BPF: UDP, gone at once", "udp", count // 100, 20, 100, WORLD4, 9)


def format_outcome(name: str, outcome: Outcome) -> str:
    numbers = (outcome.made, outcome.right, outcome.wrong, outcome.unknown, outcome.lost)
    cells = " | ".join(f"{number:,}".replace(",", " ") for number in numbers)
    rates = f"{outcome.made / outcome.seconds:,.0f} | {outcome.others / outcome.seconds:,.0f}"
    return f"| {name} | {cells} | {rates} |"


def print_outcomes(count: int) -> bool:
    """Whether no program got a wrong name, and with BPF all got the right one."""
    print("| scenario | made | right | wrong | unknown | lost | a second | others a second |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    is_good = True
    for is_degraded in (False, True):
        with prepared_lab() as lab:
            flags = ["--no-bpf"] if is_degraded else []
            scenarios = list_degraded_scenarios(count) if is_degraded else list_scenarios(lab, count)
            for scenario in scenarios:
                daemon = lab.start_daemon(ALLOW_ALL, *flags)
                outcome = run_scenario(lab, daemon, scenario)
                daemon.stop()
                print(format_outcome(scenario.name, outcome), flush=True)
                for example in outcome.examples[:3]:
                    print(f"wrong: {example}", file=sys.stderr)
                for what, number in outcome.losses.items():
                    print(f"lost by the daemon: {number} {what}", file=sys.stderr)
                is_good &= not outcome.wrong and (is_degraded or outcome.right == outcome.made)
    return is_good


def print_known(count: int) -> bool:
    """New processes of a program that a rule allows, as fast as they can be started; whether none was dropped, and the
    daemon and the world count alike."""
    scenario = Scenario("a known program, one UDP datagram each", "udp", count, 2000, 0, WORLD4, 9)
    with prepared_lab() as lab:
        daemon = lab.start_daemon(KNOWN)
        arrived = count_arrived(lab)
        pids, seconds = spawn_short_lives(lab, scenario)
        wait_until(lambda: count_arrived(lab) - arrived >= len(pids), "some datagrams were dropped")
        arrived = count_arrived(lab) - arrived
        status = json.loads(daemon.cli("status", "--json").stdout)
        daemon.stop()
    hits, misses, lost = status["hits"], status["misses"], sum(status["losses"].values())
    print("\n| | made | judged in the kernel | by the daemon | lost | arrived | a second |")
    print(f"|---|{'---:|' * 6}")
    numbers = " | ".join(f"{number:,}".replace(",", " ") for number in (len(pids), hits, misses, lost, arrived))
    print(f"| {scenario.name} | {numbers} | {len(pids) / seconds:,.0f} |", flush=True)
    return hits + misses == arrived == len(pids) and not lost


def measure_exec_us(lab: Lab, execs: int) -> float:
    _pids, seconds = spawn_short_lives(lab, Scenario("", "none", execs, 1, 0, WORLD4, 0))
    return seconds / execs * 1e6


def read_costs(lab: Lab) -> dict[str, tuple[int, int]]:
    done = lab.run_outside([sys.executable, str(COST)])
    return {name: tuple(cost) for name, cost in json.loads(done.stdout).items()}


def print_exec_cost(lab: Lab, rounds: int, execs: int) -> None:
    """Execs without and with the daemon, in turns; and the time spent in our BPF programs."""
    bare, traced = [], []
    for _ in range(rounds):
        bare.append(measure_exec_us(lab, execs))
        daemon = lab.start_daemon(ALLOW_ALL)
        traced.append(measure_exec_us(lab, execs))
        daemon.stop()
    bare_us, traced_us = statistics.median(bare), statistics.median(traced)
    slower = (traced_us / bare_us - 1) * 100
    print(f"| exec of a small program, from spawn to its end: without | {bare_us:.0f} µs |")
    print(f"| the same with the tracing, {slower:+.1f} % | {traced_us:.0f} µs |")
    lab.start_daemon(ALLOW_ALL)
    with counted_runs(are_counted=True):
        before = read_costs(lab)
        traced_us = measure_exec_us(lab, execs)
        after = read_costs(lab)
    own_us = sum(after[name][1] - before[name][1] for name in EXEC_PROGRAMS) / execs / 1000
    print(f"| of that in our BPF programs at fork, exec and exit, {own_us / traced_us * 100:.1f} % | {own_us:.1f} µs |")


def print_capture_cost(lab: Lab) -> None:
    """All that BPF does for one connection: sock_create, connect, the verdict programs, sock_release."""
    daemon = lab.start_daemon(ALLOW_ALL)
    lab.run(connect_loop(1))
    with counted_runs(are_counted=True):
        before = read_costs(lab)
        made = json.loads(lab.run(connect_loop(3), timeout_s=60).stdout)["count"]
        after = read_costs(lab)
    daemon.stop()
    spent = {name: after[name][1] - before[name][1] for name in after if name not in EXEC_PROGRAMS}
    notes = sum(ns for name, ns in spent.items() if name.startswith("on_")) / made / 1000
    print(f"| a connection's capture: socket made, connected, released | {notes:.2f} µs |")
    print(f"| a connection's cached verdict, both ways | {sum(spent.values()) / made / 1000 - notes:.2f} µs |")


def connect_loop(seconds: int) -> list[str]:
    return [program_path("connect_loop"), "-s", str(seconds), WORLD4, PORT]


def main() -> int:
    options = parse_arguments()
    make_ready()
    print(describe_machine(), end="\n\n")
    is_good = print_outcomes(options.count) & print_known(options.count)
    print("\n| cost | |\n|---|---:|")
    with prepared_lab() as lab:
        print_exec_cost(lab, options.rounds, min(EXECS, options.count))
    with prepared_lab() as lab:
        print_capture_cost(lab)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
