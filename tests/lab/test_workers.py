"""Workers, which a program starts with other arguments each time: the answer that a prompt proposes is for all of them,
and for no other program that the interpreter runs."""

import subprocess
import time

import pytest
from msgspec.structs import replace

from tests.lab.daemon import Daemon
from tests.lab.lab import DNS_RULE, Lab
from tests.lab.patience import WAIT_S
from tests.lab.world import PROGRAMS
from tinysnitch.client.control_client import ControlClient
from tinysnitch.core.choice import Lifetime
from tinysnitch.protocol.messages import GiveAnswer, ListAsks, PromptShown, RuleWritten
from tinysnitch.view.first_choice import choose_first

pytestmark = [pytest.mark.privileged, pytest.mark.slow]

POOL = str(PROGRAMS / "pool_client.py")
PYTHON = "/usr/bin/python3"
SITE = ("four.test", "80")


def answer_as_proposed(daemon: Daemon, running: subprocess.Popen[str]) -> list[str]:
    """Say yes for ever to what a prompt proposes, until the command is done: the lines of the rules."""
    lines = []
    with ControlClient(str(daemon.socket)) as client:
        while running.poll() is None:
            for shown in client.ask(ListAsks(), PromptShown):
                choice = replace(choose_first(shown.prompt.connection), lifetime=Lifetime.FOREVER)
                lines.append(client.ask_one(GiveAnswer(shown.prompt.prompt_id, choice), RuleWritten).rule)
                break  # it may have answered others
            time.sleep(0.05)
    return lines


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_pool_of_workers_is_asked_about_once(lab: Lab, method: str) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    first = lab.spawn([PYTHON, POOL, method, "0", *SITE])
    [line] = answer_as_proposed(daemon, first)
    assert first.communicate(timeout=WAIT_S)[0].split() == ["connected"] * 2
    asks = daemon.records("ask")
    [path] = {ask["program"] for ask in asks}
    assert line == f"allow parent={POOL} four.test 80 tcp {path}"
    again = lab.run([PYTHON, POOL, method, "3", *SITE])
    assert again.stdout.split() == ["connected"] * 2, f"{again.stderr}\n{daemon.describe()}"
    assert len(daemon.records("ask")) == len(asks)
    args = {tuple(record["args"]) for record in daemon.records("connection") if record["remote_port"] == 80}
    assert len(args) > len(asks), "it was the same command line"


def test_nothing_else_that_the_interpreter_runs_is_let_go_by_that_answer(lab: Lab) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    pool = lab.spawn([PYTHON, POOL, "spawn", "0", *SITE])
    answer_as_proposed(daemon, pool)
    other = lab.spawn([PYTHON, "-c", "import socket; socket.create_connection(('four.test', 80))"])
    ask = daemon.wait_ask(pid=other.pid)
    assert ask["args"][0] == "-c"
    daemon.answer(ask, "no")
