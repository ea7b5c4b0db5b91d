"""`tinysnitch history`: the question that its options make, and how the answer is printed."""

import json
import os
import pwd
import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.cli.running import Command
from tests.daemon.requests.small_handler import RunningServer
from tinysnitch.core.traffic.queries import By, TrafficLine, TrafficQuestion, TrafficTotal
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.output import tables
from tinysnitch.protocol.messages import HistoryEntry, HistoryTotal, Reply

HOSTILE = "/bin/a\n\x1b[31m\udcff,'\""


class LookingBack:
    def __init__(self) -> None:
        self.asked: list[TrafficQuestion] = []
        self.lines = [
            TrafficLine(
                what=what,
                program=program,
                first_s=86400.0,
                last_s=90061.5,
                connections=count,
                denied=1,
                inbound=0,
                received=2048,
                sent=7,
            )
            for what, program, count in (("/usr/bin/curl", None, 30), (HOSTILE, "/usr/bin/git", 3))
        ]

    def read_history(self, question: TrafficQuestion, right: Right) -> Iterator[Reply]:
        self.asked.append(question)
        yield from map(HistoryEntry, self.lines)
        yield HistoryTotal(TrafficTotal(len(self.lines) and 7, 33, 2, 4096, 14))


@pytest.fixture
def looking_back(running: RunningServer) -> LookingBack:
    running.handler._looking_back = made = LookingBack()  # type: ignore[assignment]
    return made


def test_options_make_a_question(looking_back: LookingBack, command: Command) -> None:
    command("history", "--since", "2026-12-01")
    words = ("firefox", "--to", "10.0.0.0/8", "--port", "443", "--user", "0", "--denied", "--lines", "5")
    command("history", *words, "--since", "7d")
    command("history", "--new", "--by", "day", "--user", pwd.getpwuid(os.getuid()).pw_name)
    command("history", "--new", "--since", "today")
    plain, narrow, new = looking_back.asked
    since = datetime(2026, 12, 1).timestamp()
    assert plain == TrafficQuestion(by=By.PROGRAM, since_s=since, limit=1000)
    assert abs(time.time() - 7 * 86400 - narrow.since_s) < 60
    assert (narrow.by, narrow.program, narrow.to, narrow.port) == (By.DOMAIN, "firefox", "10.0.0.0/8", 443)
    assert (narrow.uid, narrow.is_denied, narrow.limit) == (0, True, 5)
    assert new.is_new
    assert datetime.fromtimestamp(new.since_s).strftime("%H%M%S") == "000000"


@pytest.mark.parametrize(
    ("words", "said"),  # of history_command(), Since and User
    [
        (("--since", "soon"), "'soon' is no time: write 30m, 12h, 7d"),
        (("--since", "9999999d"), "'9999999d' is no time"),
        (("--port", "70000"), "'70000' is not a port"),
        (("--user", "nobody-of-this-name"), "there is no user 'nobody-of-this-name'"),
        (("--new", "--by", "day"), "--new has lines of its own"),
        (("--by", "weather"), "'weather' is not one of"),
    ],
)
def test_bad_words_are_told(looking_back: LookingBack, command: Command, words: tuple[str, ...], said: str) -> None:
    done = command("history", *words)
    assert (done.code, looking_back.asked) == (2, [])
    assert said in done.err


def test_behind_a_pipe_the_table_is_plain_and_whole(looking_back: LookingBack, command: Command) -> None:
    out = command("history").out.splitlines()
    assert out[0].split() == ["program", "connections", "denied", "in", "out", "last"]
    assert out[1].split() == ["/usr/bin/curl", "30", "1", "2.0", "kB", "7", "B", "1970-01-02"]
    assert out[2].startswith("/bin/a\\x0a\\x1b[31m\\xff,'\"")
    assert "tinysnitch: 5 more lines; --lines 7 shows them" in command("history").err
    assert command("history", "--new").out.splitlines()[2].split()[1:3] == [
        "/usr/bin/git",
        "/bin/a\\x0a\\x1b[31m\\xff,'\"",
    ]


def test_on_a_terminal_it_has_bars_and_what_it_sums_up_to(
    looking_back: LookingBack, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables.os, "isatty", lambda _fd: True)
    monkeypatch.setenv("COLUMNS", "80")
    out = command("history", "--since", "2026-12-01").out.splitlines()
    assert "7 programs, 33 connections, 2 denied, 4.1 kB in, 14 B out" in out[0]
    assert max(map(len, out)) <= 80
    assert "█" in out[3]
    assert tables.is_terminal()  # as print_table() sees it
    assert "\x1b" not in "".join(out)  # neither ours, as this is no terminal, nor that of a name


def test_json_and_csv_tell_all(looking_back: LookingBack, command: Command) -> None:
    first, second = map(json.loads, command("history", "--json").out.splitlines())
    assert first == {
        "program": "/usr/bin/curl",
        "first": "1970-01-02T00:00:00.000Z",
        "last": "1970-01-02T01:01:01.500Z",
        "connections": 30,
        "denied": 1,
        "inbound": 0,
        "received": 2048,
        "sent": 7,
    }
    assert second["program"] == HOSTILE
    rows = command("history", "--new", "--csv").out.splitlines()
    assert rows[0] == "program,domain,first,last,connections,denied,inbound,received,sent"
    assert rows[2].startswith('/usr/bin/git,"/bin/a\\x0a\\x1b[31m\\xff,\'""",1970-01-02T')


def test_an_empty_history_says_so(looking_back: LookingBack, command: Command) -> None:
    looking_back.lines = []
    assert command("history") == (0, "", "tinysnitch: there is nothing of that kind in the history\n")
    assert [command("history", flag) for flag in ("--json", "--csv")] == [(0, "", "")] * 2
