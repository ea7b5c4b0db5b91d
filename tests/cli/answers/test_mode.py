"""`tinysnitch pause`, `resume` and `mode`."""

import json

import click
import pytest

from tests.cli.running import Command
from tests.daemon.requests.small_handler import RunningServer
from tinysnitch.cli.answers.mode import mode_command, pause_command, present_notes, present_state, resume_command
from tinysnitch.cli.main import tinysnitch
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.protocol.messages import ModeState

PAUSED = "paused, 10 min 0 s left: what no rule covers passes unasked (`tinysnitch resume` ends it)\n"
LISTED = "tinysnitch: `tinysnitch learned` lists what passes only for that\n"
LISTED_AFTER = "tinysnitch: `tinysnitch learned` lists what passed only for the pause\n"


def test_the_commands_are_found() -> None:
    found = [tinysnitch.get_command(click.Context(tinysnitch), word) for word in ("pause", "resume", "mode")]
    assert found == [pause_command, resume_command, mode_command]


@pytest.mark.parametrize("words", [(), ("10m",), ("600s",)])
def test_a_pause_lasts_ten_minutes_or_as_long_as_is_said(
    running: RunningServer, command: Command, words: tuple[str, ...]
) -> None:
    told = command("pause", *words)
    assert told[:2] == (0, PAUSED)
    ends, questions, listed = told.err.splitlines(keepends=True)
    assert ends.startswith("tinysnitch: people are asked again at ")
    assert (questions, listed) == ("tinysnitch: 1 question that was open is allowed by it\n", LISTED)


def test_resuming_says_what_passed_meanwhile(running: RunningServer, command: Command) -> None:
    running.handler.prompts = {}
    assert command("resume") == (0, "nothing to end: people are asked as always\n", "")
    command("pause")
    assert command("resume") == (0, "what no rule covers is asked about again\n", LISTED_AFTER)


def test_a_mode_without_a_time_has_no_end(running: RunningServer, command: Command) -> None:
    told = command("mode", "deny")
    assert told.out == "mode deny: what no rule covers is denied unasked (`tinysnitch resume` ends it)\n"
    assert told.err == "tinysnitch: 1 question that was open is denied by it\n"
    assert command("mode", "allow", "--for", "2h").out.startswith("paused, 2 h 0 min left: ")


def test_json_is_one_object(running: RunningServer, command: Command) -> None:
    told = command("mode", "deny", "--for", "30s", "--json")
    assert (json.loads(told.out), told.err) == (
        {
            "type": "mode_state",
            "mode": "deny",
            "was": "ask",
            "until": "2023-11-14T22:23:20.000Z",
            "left_s": 30.0,
            "decided": 1,
            "learned_rules": "",
        },
        "",
    )


@pytest.mark.parametrize("time", ["0s", "10", "25h", "1.5h", "-1m", "10 m", "86401s", "٣m"])
def test_what_is_no_time_is_a_usage_error_with_a_hint(running: RunningServer, command: Command, time: str) -> None:
    for words in (("pause", "--", time), ("mode", "allow", "--for", time)):
        told = command.plain(*words)
        assert (told.code, told.out) == (2, "")
        assert f"{time!r} is no time from 1s to 24h" in told.err
        assert "hint: write seconds, minutes or hours as 30s, 10m or 2h" in told.err
    assert running.handler.mode is Verdict.ASK


@pytest.mark.parametrize("words", [("mode",), ("mode", "off"), ("mode", "ask", "--for", "5m")])
def test_other_modes_there_are_none(running: RunningServer, command: Command, words: tuple[str, ...]) -> None:
    told = command(*words)
    assert (told.code, told.out) == (2, "")
    assert "error: " in told.err
    assert "hint: " in told.err


def test_that_a_pause_ends_tomorrow_is_said() -> None:
    state = ModeState(mode=Verdict.ALLOW, was=Verdict.ASK, until="2099-01-01T00:00:00.000Z", left_s=1.0, decided=3)
    assert present_state(state).startswith("paused, 1 s left: ")
    ends, questions = present_notes(state)
    assert ends.endswith(" tomorrow")
    assert questions == "3 open questions are allowed by it"
