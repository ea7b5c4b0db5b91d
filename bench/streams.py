"""One long conversation: what the firewall costs each packet of it, measured with iperf3 (iperf3(1))."""

import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator

from bench.logging_daemon import LoggingDaemon
from bench.rows import CONNTRACK, ECHO_PORT, output_rule
from tests.lab.lab import Lab
from tests.lab.patience import read_until
from tests.lab.world import WORLD4, WORLD6

IPERF, PYTHON = "/usr/bin/iperf3", "/usr/bin/python3"
POUR_PORT, SILENT_PORT = "9003", "9004"
DATAGRAM = 1400  # bytes
# Sends datagrams as fast as it can, and reads the echoes, if there are any, as they come.
FLOOD = f"""
import socket, sys, time
address, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
flow = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
flow.connect((address, port))
flow.setblocking(False)
payload, count, end = bytes({DATAGRAM}), 0, time.monotonic() + seconds
while time.monotonic() < end:
    for _ in range(64):
        try:
            flow.send(payload)
            count += 1
        except OSError:
            pass
    try:
        while True:
            flow.recv(2048)
    except OSError:
        pass
print(count / seconds)
"""
# At one port it answers with datagrams for as many seconds as the question says; at the other it never answers.
SERVE = f"""
import socket, sys, time
server, silent = (socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _port in sys.argv[1:])
for end, port in zip((server, silent), sys.argv[1:]):
    end.bind(("::", int(port)))
print("ready", flush=True)
while True:
    question, client = server.recvfrom(100)
    payload, end = bytes({DATAGRAM}), time.monotonic() + float(question)
    while time.monotonic() < end:
        for _ in range(64):
            server.sendto(payload, client)
"""
TAKE = """
import socket, sys
address, port, seconds = sys.argv[1:]
flow = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
flow.connect((address, int(port)))
flow.settimeout(0.5)
flow.send(seconds.encode())
count = 0
try:
    while True:
        flow.recv(2048)
        count += 1
except TimeoutError:
    print(count / float(seconds))
"""


def run_iperf(lab: Lab, seconds: float) -> float:
    """Bits per second that arrived. iperf3 takes whole seconds."""
    done = lab.run([IPERF, "-c", WORLD4, "-t", str(max(1, round(seconds))), "-J"], timeout_s=30)
    if done.returncode:
        raise RuntimeError(f"iperf3: {done.stdout[-500:]}")
    end = json.loads(done.stdout)["end"]
    return float((end.get("sum_received") or end["sum"])["bits_per_second"])


def count_datagrams(lab: Lab, program: str, address: str, port: str, seconds: float) -> float:
    """Datagrams per second that were sent on one flow, or received."""
    done = lab.run([PYTHON, "-c", program, address, port, str(seconds)], timeout_s=30)
    return float(done.stdout)


def list_streams(lab: Lab, seconds: float) -> dict[str, Callable[[], float]]:
    datagrams = f"UDP, {DATAGRAM} bytes"
    return {
        "TCP, Gbit/s": lambda: run_iperf(lab, seconds) / 1e9,
        f"{datagrams}, unanswered, datagrams/s": lambda: count_datagrams(lab, FLOOD, WORLD4, SILENT_PORT, seconds),
        f"{datagrams}, answered, datagrams/s": lambda: count_datagrams(lab, FLOOD, WORLD4, ECHO_PORT, seconds),
        f"{datagrams}, received, datagrams/s": lambda: count_datagrams(lab, TAKE, WORLD4, POUR_PORT, seconds),
        f"{datagrams}, received over IPv6, datagrams/s": lambda: count_datagrams(lab, TAKE, WORLD6, POUR_PORT, seconds),
    }


def measure_streams(lab: Lab, rounds: int, seconds: float) -> None:
    if not shutil.which(IPERF):
        print("streams: iperf3 is not installed", file=sys.stderr)
        return
    server = lab.spawn_world([IPERF, "-s", "--forceflush"])
    await_iperf(server)
    datagrams = lab.spawn_world([PYTHON, "-c", SERVE, POUR_PORT, SILENT_PORT])
    read_until(datagrams, lambda said: said)
    streams = list_streams(lab, seconds)
    found: dict[str, list[list[float]]] = {name: [] for name in streams}
    for _ in range(rounds):
        for name, figures in zip(found, zip(*measure_round(lab, streams), strict=True), strict=True):
            found[name].append(list(figures))
    for each in (server, datagrams):
        each.kill()
        each.wait()
    print("| one stream | bare | conntrack only | of bare | judged | of bare |\n|---|---:|---:|---:|---:|---:|")
    for name, rows in found.items():
        print(format_stream(name, rows), flush=True)
    print()


def format_stream(name: str, rows: list[list[float]]) -> str:
    """`rows`: of each round the bare, tracked and judged rate. Medians, also of the ratios within each round."""
    bare, tracked, judged = (statistics.median(rates) for rates in zip(*rows, strict=True))
    tracked_ratio, judged_ratio = (statistics.median(row[state] / row[0] for row in rows) for state in (1, 2))
    cells = f"{bare:,.1f} | {tracked:,.1f} | {tracked_ratio:.3f} | {judged:,.1f} | {judged_ratio:.3f}"
    return f"| {name} | {cells} |"


def measure_round(lab: Lab, streams: dict[str, Callable[[], float]]) -> Iterator[list[float]]:
    """All streams in each state of the lab: bare, with conntrack alone, judged."""
    yield [measure() for measure in streams.values()]
    with output_rule(lab, CONNTRACK):
        yield [measure() for measure in streams.values()]
    daemon = LoggingDaemon(lab, f"allow {WORLD4} - -\nallow {WORLD6} - -\n")
    yield [measure() for measure in streams.values()]
    daemon.stop()


def await_iperf(server: subprocess.Popen[str]) -> None:
    read_until(server, lambda said: "listening" in said[-1])
