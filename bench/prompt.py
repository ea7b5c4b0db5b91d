"""`make bench-prompt`: how long the window takes from connect() to a painted question, and what it costs at rest."""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.daemon_cost import read_cpu_s, read_resident_mb
from tests.lab.daemon import Daemon
from tests.lab.lab import DNS_RULE, Lab
from tests.lab.world import WORLD4
from tests.qt.desktop import Desktop
from tests.qt.screen import Screen

FIRST_PORT = 20000
CURL = ["curl", "-4", "-sS", "http://shop.test/"]
# Prints the time right before it connects, a little before the packet is held.
CLIENT = """
import socket, sys, time
print(time.time(), flush=True)
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 30)
except OSError:
    pass
"""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="of questions")
    parser.add_argument("--seconds", type=float, default=10.0, help="at rest")
    parser.add_argument("--show", metavar="SOCKET", help="be the window, and say when a question is painted")
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    if options.show:
        show_questions(options.show)
        return
    with Lab() as lab:
        measure_paint(lab, lab.start_daemon(DNS_RULE), options.rounds)
    with Lab() as lab:
        measure_rest(lab, lab.start_daemon(DNS_RULE), options.seconds)


def measure_paint(lab: Lab, daemon: Daemon, rounds: int) -> None:
    """The window of tinysnitch-prompt in a process that reports when it has painted."""
    with Screen(1920, 1080) as screen:
        command = [sys.executable, "-m", "bench.prompt", "--show", str(daemon.socket)]
        window = subprocess.Popen(command, env=screen.environment(), stdout=subprocess.PIPE, text=True)
        try:
            assert window.stdout
            window.stdout.readline()  # it is attached to the daemon
            times_ms = sorted(paint_ms(lab, daemon, window, FIRST_PORT + number) for number in range(rounds))
        finally:
            window.kill()
            window.communicate()
    nine_in_ten = times_ms[len(times_ms) * 9 // 10]
    print(f"connect() to painted question: median {statistics.median(times_ms):.0f} ms, 9 in 10 {nine_in_ten:.0f} ms")


def paint_ms(lab: Lab, daemon: Daemon, window: "subprocess.Popen[str]", port: int) -> float:
    client = lab.spawn([sys.executable, "-c", CLIENT, WORLD4, str(port)])
    assert client.stdout
    assert window.stdout
    begun_s = float(client.stdout.readline())
    painted_s = float(window.stdout.readline())
    daemon.answer(daemon.wait_ask(remote_port=port), "no", "--for", "once")
    client.wait()
    return (painted_s - begun_s) * 1000


def show_questions(socket_path: str) -> None:
    """Print a line once attached, and one for each question that was painted."""
    os.environ.setdefault("QT_XCB_GL_INTEGRATION", "none")
    from PySide6.QtWidgets import QApplication

    from tinysnitch.qt.daemon_link import QtDaemonLink
    from tinysnitch.qt.prompt_agent import PromptAgent
    from tinysnitch.qt.prompt_window import PromptWindow
    from tinysnitch.view.prompt_events import DaemonGreeted, Event

    application = QApplication([])
    application.setQuitOnLastWindowClosed(False)
    window = PromptWindow()
    agent = PromptAgent(window, 0.5)
    told: set[int] = set()

    def tell(event: Event) -> None:
        agent.tell(event)
        if isinstance(event, DaemonGreeted):
            print("attached", flush=True)

    def note_painted() -> None:
        selected = agent.state.selected
        if selected and selected.prompt.prompt_id not in told:
            told.add(selected.prompt.prompt_id)
            print(time.time(), flush=True)

    window.painted.connect(note_painted)
    link = QtDaemonLink(socket_path, tell, lambda error: sys.exit(str(error)))
    agent.link = link
    link.start()
    application.exec()


def measure_rest(lab: Lab, daemon: Daemon, seconds: float) -> None:
    """Processor time and memory of the real command, after it has shown a question."""
    with tempfile.TemporaryDirectory() as folder, Desktop(Path(folder) / "session") as desktop:
        prompt = desktop.attach_prompt(daemon)
        curl = lab.spawn(CURL)
        desktop.see("curl wants to reach")
        daemon.answer(daemon.wait_ask(), "no")
        curl.wait()
        desktop.see_nothing()
        begun_s = read_cpu_s(prompt.pid)
        time.sleep(seconds)
        share = (read_cpu_s(prompt.pid) - begun_s) / seconds
        print(f"at rest: {share:.1%} of a processor, {read_resident_mb(prompt.pid):.0f} MB")


if __name__ == "__main__":
    main()
