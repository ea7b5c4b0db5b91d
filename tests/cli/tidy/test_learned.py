import json

import click
import pytest

from tests.cli.running import Command
from tests.cli.tidy.small_tidying import DENIED, LEARNED, SmallTidying
from tests.daemon.requests.small_handler import RunningServer
from tinysnitch.cli.main import tinysnitch
from tinysnitch.cli.tidy import key_press, learned
from tinysnitch.cli.tidy.learned import learned_command

LINES = tuple(line.rule for line in LEARNED.lines)
ADS = ("allow ads.test - -",)


@pytest.fixture
def tidying(running: RunningServer) -> SmallTidying:
    running.handler._tidying = SmallTidying(learned=(LEARNED, DENIED))
    return running.handler._tidying


def test_without_a_terminal_what_passed_is_printed_as_rules(command: Command, tidying: SmallTidying) -> None:
    assert command("learned") == (
        0,
        "allow *.b.test - -  # 2 lines, pause since 2026-12-01T12:20:03Z, 13 times; also lets pass more\n"
        "# allow ads.test - -  # a rule denies it\n",
        "",
    )
    first, _second = map(json.loads, command("learned", "--json").out.splitlines())
    assert first["lines"][0] == {"rule": LINES[0], "since": "learn since 2026-12-02T12:20:03Z", "count": 12}
    assert (first["added"], first["wider"]) == (
        LEARNED.added,
        [{"rule": "allow - - -", "effect": "also lets pass everything"}],
    )
    assert tidying.taken == []


def test_it_is_a_command_of_its_own() -> None:
    assert tinysnitch.get_command(click.Context(tinysnitch), "learned") is learned_command


def test_all_is_taken_unasked(command: Command, tidying: SmallTidying) -> None:
    assert command("learned", "--yes").code == 0
    assert tidying.taken == [(LINES, LEARNED.added), (ADS, None)]


def test_that_nothing_passed_is_told(command: Command, tidying: SmallTidying) -> None:
    tidying.learned = []
    assert command("learned") == (0, "", "tinysnitch: nothing passed without a rule\n")


@pytest.mark.parametrize(
    ("keys", "taken"),
    [
        ("yd", [(LINES, "allow *.b.test - -"), (ADS, None)]),
        ("wys", [(LINES, "allow - - -")]),
        ("wnys", [(LINES, "allow *.b.test - -")]),
        ("nyds", [(LINES[:1], LINES[0]), (LINES[1:], None)]),
        ("nwysq", [(LINES[:1], "allow *.b.test - -")]),
        ("sq", []),
    ],
)
def test_keys_take_widen_narrow_and_drop(
    command: Command, tidying: SmallTidying, monkeypatch: pytest.MonkeyPatch, keys: str, taken: list[object]
) -> None:
    left = iter(keys)

    def press(possible: dict[str, str]) -> str:
        key = next(left)
        assert key in possible
        return key

    monkeypatch.setattr(learned, "is_on_terminal", lambda: True)
    monkeypatch.setattr(key_press, "ask_key", press)
    assert command("learned").code == 0
    assert tidying.taken == taken
