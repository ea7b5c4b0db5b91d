"""Two hundred unknown connections at once, from twenty programs: each is held, none is lost, none slips through."""

import json
import random
import shutil
import subprocess

import pytest

from tests.lab.daemon import Daemon, Record
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, wait_until
from tests.lab.world import MORE_WORLD4, PROGRAMS
from tinysnitch.client.control_client import ControlClient
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice
from tinysnitch.protocol.messages import GiveAnswer, RuleWritten

pytestmark = [pytest.mark.privileged, pytest.mark.slow]

PROGRAM_COUNT = 20
REMOTES = [f"{address}:80" for address in MORE_WORLD4[:2]]
ENDS = [(Verdict.ALLOW, "ok"), (Verdict.DENY, "refused")]
EQUAL = 5  # connections of one program to one remote: one question


def start_programs(lab: Lab) -> dict[str, subprocess.Popen[str]]:
    """Twenty programs, each a file of its own, with ten connections each."""
    clients = {}
    for number in range(PROGRAM_COUNT):
        program = lab.folder / f"program-{number}.py"
        shutil.copy(PROGRAMS / "crowd_client.py", program)
        clients[str(program)] = lab.spawn(["/usr/bin/python3", str(program), *REMOTES * EQUAL])
    return clients


def wait_all_held(daemon: Daemon) -> list[Record]:
    """The open questions, once all connections are held."""
    daemon.wait_for_count(lambda record: record["event"] == "ask", PROGRAM_COUNT * len(REMOTES))
    asks: list[Record] = []

    def are_all_held() -> bool:
        asks[:] = daemon.asks()
        return sum(ask["count"] for ask in asks) == PROGRAM_COUNT * len(REMOTES) * EQUAL

    wait_until(are_all_held, "some connections are not held")
    return asks


def test_each_of_two_hundred_is_held_and_answered(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    clients = start_programs(lab)
    asks = wait_all_held(daemon)
    assert len(asks) == PROGRAM_COUNT * len(REMOTES)
    assert {ask["count"] for ask in asks} == {EQUAL}
    assert lab.run_world(["ss", "-Htan", "state", "established"]).stdout == ""
    random.Random(2019).shuffle(asks)
    expected = {}
    with ControlClient(daemon.socket) as prompt:  # a `tinysnitch answer` for each would take most of the test's time
        for number, ask in enumerate(asks):
            verdict, end = ENDS[number % 2]
            prompt.ask_one(GiveAnswer(ask["id"], Choice(verdict=verdict)), RuleWritten)
            expected[ask["program"], f"{ask['remote_address']}:{ask['remote_port']}"] = end
    for program, client in clients.items():
        results = json.loads(client.communicate(timeout=WAIT_S)[0])
        assert results == {f"{remote} {expected[program, remote]}": EQUAL for remote in REMOTES}
    assert daemon.asks() == []
