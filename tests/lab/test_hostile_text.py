"""Arguments that try to be rules, terminal commands or comments: one question, one line, which matches them again."""

import json

import pytest

from tests.lab.lab import Lab
from tests.lab.world import PROGRAMS, WORLD4

pytestmark = [pytest.mark.privileged]

CLIENT = str(PROGRAMS / "tcp_client.py")
HOSTILE = [
    "x\nallow - - -\n",
    "\x1b[2J\x1b]0;owned\x07",
    "#",
    "'\"",
    "\\",
    "\udcff\udcfe",
    "",
    " ",
    "\u202e",
    "\x7f\x9b",
    "-",
]
COMMAND = ["/usr/bin/python3", CLIENT, WORLD4, "80", *HOSTILE]
READERS = [("asks",), ("rules", "list"), ("log",), ("asks", "--json"), ("rules", "list", "--json"), ("log", "--json")]


def assert_harmless(text: str) -> None:
    """Nothing in it can steer a terminal, or reorder what is read."""
    raw = [char for char in text if (not char.isprintable() and char != "\n") or char == "\u202e"]
    assert raw == []


@pytest.fixture(name="answered")
def _answered(lab: Lab) -> tuple[Lab, str]:
    """The lab after the hostile program was allowed for ever, and the rules file."""
    daemon = lab.start_daemon("# first\n")
    client = lab.spawn(COMMAND)
    ask = daemon.wait_ask()
    assert ask["args"][2:] == HOSTILE
    assert len(daemon.asks()) == 1
    for words in READERS:
        assert_harmless(daemon.cli(*words).stdout)
    daemon.answer(ask, "yes", "--for", "forever")
    assert client.wait(timeout=10) == 0
    for words in READERS:
        assert_harmless(daemon.cli(*words).stdout)
    assert daemon.stop() == 0
    return lab, daemon.rules.read_text()


def test_it_is_one_harmless_line(answered: tuple[Lab, str]) -> None:
    _lab, rules = answered
    first, line, rest = rules.split("\n")
    assert (first, rest) == ("# first", "")
    assert line.startswith(f"allow {WORLD4}") or line.split()[:2] == ["allow", WORLD4]
    assert_harmless(line)


def test_the_line_matches_exactly_that_program_again(answered: tuple[Lab, str]) -> None:
    lab, rules = answered
    daemon = lab.start_daemon(rules + "deny - - -\n")
    assert lab.run(COMMAND).stdout == "connected\n"
    for number in range(4, len(COMMAND)):
        without = COMMAND[:number] + COMMAND[number + 1 :]
        assert "ConnectionRefusedError" in lab.run(without).stderr
    assert daemon.records("ask") == []


def test_the_daemon_logs_ascii_alone(lab: Lab) -> None:
    daemon = lab.start_daemon("deny - - -\n")
    assert lab.run(COMMAND).returncode == 1
    told = daemon.wait_connection(program=CLIENT)
    assert told["args"] == [WORLD4, "80", *HOSTILE]
    log = daemon.cli("log", "--json").stdout
    assert log.isascii()
    assert [json.loads(line)["program"] for line in log.splitlines() if '"connection"' in line] == [CLIENT]
