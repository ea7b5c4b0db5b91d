"""The daemon idle, with clients that do not read, with a full disk, and with more connections than it can decide."""

import json
import re
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.daemon_cost import read_cpu_s
from bench.logging_daemon import BIN, LoggingDaemon
from bench.programs import EVERYWHERE, Sample, program_path, run_connect_loop
from bench.rows import ECHO_PORT, MANY4, MANY4_FIRST, PORT, RANGE, must
from tests.lab.lab import Lab
from tests.lab.patience import wait_until
from tests.lab.wakeups import are_at_rest, stand_still
from tests.lab.world import WORLD4

IDLE = 10  # times as long as the other loads
THREADS = "8"
STUCK_CLIENTS = 4
OVERLOAD = 3
RECOVERY_S = 1.0
TINYSNITCH = str(BIN / "tinysnitch")
# The kernel divides the processors among sessions first (sched(7), autogroup). Each service and terminal has its own.
OWN_SESSION = ["setsid"]


def measure_strains(lab: Lab, rounds: int, seconds: float) -> None:
    print("| under strain | |\n|---|---:|", flush=True)
    for what, figure in (
        *measure_idle(lab, IDLE * seconds),
        *measure_hindered(lab, rounds, seconds),
        *measure_overload(lab, rounds, seconds),
    ):
        print(f"| {what} | {figure} |", flush=True)


def rules() -> str:
    program = program_path("connect_loop")
    allowed = [f"allow {remote} - - {program}" for remote in (MANY4, WORLD4)]
    return "\n".join([*allowed, ""])


# Idle


def count_wakeups(pid: int) -> int:
    """Context switches of all threads since their start: proc_pid_status(5)."""
    texts = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status")]
    return sum(int(number) for text in texts for number in re.findall(r"ctxt_switches:\s+(\d+)", text))


def measure_idle(lab: Lab, seconds: float) -> Iterator[tuple[str, str]]:
    """Measured after some work, once its history is written."""
    daemon = LoggingDaemon(lab, rules())
    miss(lab, 0, 0.2)
    time.sleep(3)
    pid = daemon.process.pid
    wakeups, cpu_s = count_wakeups(pid), read_cpu_s(pid)
    time.sleep(seconds)
    wakeups, cpu_s = count_wakeups(pid) - wakeups, read_cpu_s(pid) - cpu_s
    daemon.stop()
    yield f"idle for {seconds:.0f} s: wake-ups a minute", f"{wakeups * 60 / seconds:.0f}"
    yield "the same: CPU, ms", f"{cpu_s * 1000:.0f}"


# Clients that do not read, a full disk


def miss(lab: Lab, offset: int, seconds: float, *flags: str) -> Sample:
    """Connections to remotes from `offset` on: each is a miss, unless one was made to that remote before."""
    words = [*flags, "-s", str(seconds), "-r", str(RANGE), "-o", str(offset)]
    return run_connect_loop(lab, *words, MANY4_FIRST, ECHO_PORT if "-u" in flags else PORT)


@contextmanager
def unhindered(_lab: Lab, _daemon: LoggingDaemon) -> Iterator[None]:
    yield


@contextmanager
def stuck_clients(lab: Lab, daemon: LoggingDaemon) -> Iterator[None]:
    command = [TINYSNITCH, "log", "--socket", str(daemon.socket), "--follow", "--json"]
    clients = [lab.spawn_outside(command) for _ in range(STUCK_CLIENTS)]
    pids = [client.pid for client in clients]
    wait_until(lambda: count_clients(lab, daemon) > len(clients) and are_at_rest(*pids), "the clients do not follow")
    for pid in pids:
        stand_still(pid)
    yield
    for client in clients:
        client.kill()
        client.wait()


def count_clients(lab: Lab, daemon: LoggingDaemon) -> int:
    """The daemon's socket, with clients that follow the log and never read."""
    command = [TINYSNITCH, "status", "--socket", str(daemon.socket), "--json"]
    return int(json.loads(lab.run_outside(command).stdout)["clients"])


@contextmanager
def full_disk(lab: Lab, daemon: LoggingDaemon) -> Iterator[None]:
    """The disk is mounted in the lab's own mount namespace alone."""
    fill = 'dd if=/dev/zero of="$0"/filler bs=4k 2>/dev/null; test -e "$0"/filler'
    must(lab, ["sh", "-c", fill, str(daemon.folder / "state")])
    yield


HINDRANCES = {
    "misses a second, unhindered": unhindered,
    f"the same with {STUCK_CLIENTS} clients that follow the log and do not read": stuck_clients,
    "the same with the history on a full disk": full_disk,
}


def measure_hindered(lab: Lab, rounds: int, seconds: float) -> Iterator[tuple[str, str]]:
    found: dict[str, list[float]] = {name: [] for name in HINDRANCES}
    for number in range(rounds):
        for name, hinder in HINDRANCES.items():
            daemon = LoggingDaemon(lab, rules(), has_own_disk=hinder is full_disk)
            with hinder(lab, daemon):
                found[name].append(miss(lab, number * 200_000, seconds, "-t", THREADS).rate)
            daemon.stop()
    free = statistics.median(found["misses a second, unhindered"])
    for name, rates in found.items():
        rate = statistics.median(rates)
        yield name, f"{rate:,.0f} ({rate / free:.2f})"


# Overload


@dataclass(frozen=True)
class Overload:
    """One round. Rates are per second; times are the p50 of a miss, before the flood and RECOVERY_S after its end."""

    miss_rate: float  # of new flows, while no more come than can be decided
    offered: int
    decided: int
    arrived: int
    dropped: int
    cached_rate: float
    bare_rate: float  # of the bare kernel beside the same flood
    crowded_rate: float  # the same beside a busy process as well
    before_us: float
    after_us: float


def count_arrived(lab: Lab) -> int:
    """All datagrams that reached the world: /proc/net/snmp, proc_net(5)."""
    done = lab.run_world(["cat", "/proc/net/snmp"])
    names, values = (line.split()[1:] for line in done.stdout.splitlines() if line.startswith("Udp:"))
    counters = dict(zip(names, map(int, values), strict=True))
    return counters["InDatagrams"] + counters["NoPorts"] + counters["InErrors"]


def connect_beside_flood(lab: Lab, pace: float, seconds: float) -> tuple[int, Sample]:
    """How many datagrams were offered, and what connections to one remote cost meanwhile.

    Their process is there before: its first one is decided already.
    """
    words = ["-u", "-t", THREADS, "-s", str(seconds), "-p", str(pace), "-r", str(RANGE), "-o", "2000000"]
    beside = lab.spawn([*OWN_SESSION, program_path(EVERYWHERE), "-s", str(seconds), WORLD4, PORT])
    time.sleep(seconds / 10)
    flood = lab.spawn([*OWN_SESSION, program_path("connect_loop"), *words, MANY4_FIRST, PORT])
    return read_sample(flood).count, read_sample(beside)


@contextmanager
def busy_process(lab: Lab, seconds: float) -> Iterator[None]:
    """A process that is as busy as the daemon, and ends by itself."""
    loop = "import sys, time\nend_s = time.monotonic() + float(sys.argv[1])\nwhile time.monotonic() < end_s: pass"
    busy = lab.spawn([*OWN_SESSION, "/usr/bin/python3", "-c", loop, str(2 * seconds)])
    try:
        yield
    finally:
        busy.kill()
        busy.wait()


def read_sample(loop: subprocess.Popen[str]) -> Sample:
    assert loop.stdout
    return msgspec.convert(json.loads(loop.stdout.read()), Sample)


def count_dropped(daemon: LoggingDaemon, lab: Lab) -> int:
    """The losses that `tinysnitch status` tells."""
    command = [TINYSNITCH, "status", "--socket", str(daemon.socket)]
    text = lab.run_outside(command).stdout
    return sum(map(int, re.findall(r"(\d+) packets dropped", text)))


def run_overload(lab: Lab, seconds: float) -> Overload:
    daemon = LoggingDaemon(lab, rules() + f"allow {WORLD4} {PORT} tcp {program_path(EVERYWHERE)}\n")
    before = miss(lab, 0, 0.5)
    miss_rate = miss(lab, 100_000, 1.0, "-u", "-e", "-t", THREADS).rate
    decided, arrived = daemon.count_decided("udp"), count_arrived(lab)
    offered, cached = connect_beside_flood(lab, OVERLOAD * miss_rate, seconds)
    time.sleep(RECOVERY_S)
    after = miss(lab, 3_000_000, 0.5)
    decided, arrived = daemon.count_decided("udp") - decided, count_arrived(lab) - arrived
    dropped = count_dropped(daemon, lab)
    daemon.stop()
    _offered, bare = connect_beside_flood(lab, OVERLOAD * miss_rate, seconds)
    with busy_process(lab, seconds):
        _offered, crowded = connect_beside_flood(lab, OVERLOAD * miss_rate, seconds)
    return Overload(
        miss_rate=miss_rate,
        offered=offered,
        decided=decided,
        arrived=arrived,
        dropped=dropped,
        cached_rate=cached.rate,
        bare_rate=bare.rate,
        crowded_rate=crowded.rate,
        before_us=before.p50_us,
        after_us=after.p50_us,
    )


def measure_overload(lab: Lab, rounds: int, seconds: float) -> Iterator[tuple[str, str]]:
    """Counts are sums of all rounds, other figures medians. On few processors a round depends on how the scheduler
    divides them: the more the daemon decides, the fewer connections go on beside it."""
    found = [run_overload(lab, seconds) for _ in range(rounds)]

    def total(name: str) -> str:
        return f"{sum(getattr(each, name) for each in found):,}"

    def median(name: str) -> str:
        return f"{statistics.median(getattr(each, name) for each in found):,.0f}"

    cached = [each.cached_rate for each in found]
    undecided = sum(max(0, each.arrived - each.decided) for each in found)
    yield "new UDP flows a second that are decided", median("miss_rate")
    yield f"offered {OVERLOAD} times that: sent", total("offered")
    yield "decided, arrived", f"{total('decided')}, {total('arrived')}"
    yield "arrived without a decision", f"{undecided:,}"
    yield "dropped, as `status` says", total("dropped")
    yield "cached allow beside it, a second", f"{median('cached_rate')} ({min(cached):,.0f} to {max(cached):,.0f})"
    yield "bare kernel beside the same flood", median("bare_rate")
    yield "the same, and beside a process that is as busy as the daemon", median("crowded_rate")
    yield "p50 µs of a miss before, and one second after", f"{median('before_us')}, {median('after_us')}"
