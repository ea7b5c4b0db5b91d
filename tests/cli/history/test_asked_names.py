"""`tinysnitch names` (names_command): what it asks the daemon, and prints."""

import json
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.cli.running import Command
from tests.daemon.requests.small_handler import RunningServer
from tinysnitch.core.traffic.asked_names import AskedName, AskingProgram, NamesQuestion, NamesTotal
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.protocol.messages import NamesAsked, NamesProgram, NamesSum, Reply

PROGRAM = AskingProgram(
    program="/usr/bin/curl", questions=5, names=2, domains=1, used=1, denied=0, first_s=0.0, last_s=1.0
)
ASKED = AskedName(load=0, at_s=1.5, program="/usr/bin/curl", name="a\n.test", domain="a.test", questions=2)


class LookingBack:
    is_empty = False

    def __init__(self) -> None:
        self.asked: list[NamesQuestion] = []

    def read_names(self, question: NamesQuestion, right: Right) -> Iterator[Reply]:
        self.asked.append(question)
        if not self.is_empty:
            yield NamesAsked(ASKED) if question.program else NamesProgram(PROGRAM)
        yield NamesSum(NamesTotal(3, 5, 2, 1))


@pytest.fixture
def looking_back(running: RunningServer) -> LookingBack:
    running.handler._looking_back = made = LookingBack()  # type: ignore[assignment]
    return made


def test_programs(looking_back: LookingBack, command: Command) -> None:
    done = command("names")
    assert done.out.splitlines()[1].split() == ["/usr/bin/curl", "5", "2", "1", "1", "1970-01-01"]
    assert done.err == "tinysnitch: 2 more programs; --lines 3 shows them\n"
    assert datetime.fromtimestamp(looking_back.asked[0].since_s).strftime("%H%M") == "0000"
    assert json.loads(command("names", "--json").out)["last"] == "1970-01-01T00:00:01.000Z"


def test_one_program(looking_back: LookingBack, command: Command) -> None:
    out = command("names", "curl", "--user", "0", "--lines", "7").out.splitlines()
    assert out[0].split() == ["after", "name", "asked"]
    assert out[2].split() == ["0.0", "s", "a\\x0a.test", "2", "times"]
    question = looking_back.asked[0]
    assert (question.program, question.uid, question.limit) == ("curl", 0, 7)
    rows = command("names", "curl", "--csv").out.splitlines()
    assert rows[0] == "load,time,program,name,domain,questions,is_used,is_denied"
    assert rows[1].startswith("0,1970-01-01T00:00:01.500Z,/usr/bin/curl,a\\x0a.test,")


def test_nothing_says_so(looking_back: LookingBack, command: Command) -> None:
    looking_back.is_empty = True
    assert command("names").err == "tinysnitch: nothing asked for names, as far as you may see\n"
