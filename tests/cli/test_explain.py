import json

import pytest

from tests.cli.running import Command
from tests.daemon.small_desk import RunningServer


def test_the_winner_and_what_it_beats(running: RunningServer, command: Command) -> None:
    told = command("explain", "/usr/bin/curl", "google.com", "443", "tcp")
    assert told.out == ("allow: by a rule\n  allow google.com 443\nbeats  deny - - -\n       the winner is narrower\n")


def test_a_protocol_without_ports(running: RunningServer, command: Command) -> None:
    assert "allow 10.0.0.5 0\n" in command("explain", "kernel", "10.0.0.5", "-", "icmp").out


@pytest.mark.parametrize(
    ("words", "name"),
    [(("X", "", "443", "tcp"), "REMOTE"), (("X", "a b", "443", "tcp"), "REMOTE"), (("X", "a", "-", "#"), "PROTOCOL")],
)
def test_a_column_is_one_word(running: RunningServer, command: Command, words: tuple[str, ...], name: str) -> None:
    code, out, err = command("explain", *words)
    assert (code, out) == (2, "")
    assert err.startswith(f"tinysnitch: error: invalid value for '{name}': ")
    assert "is not one word, as a rule's column is" in err
    assert command("explain", "X", "'a", "443", "tcp").code == 0  # the daemon's to judge


def test_json(running: RunningServer, command: Command) -> None:
    told = json.loads(command("explain", "kernel", "10.0.0.5", "-", "icmp", "--json").out)
    assert (told["verdict"], told["beaten"]) == ("allow", [{"rule": "deny - - -", "why": "the winner is narrower"}])
