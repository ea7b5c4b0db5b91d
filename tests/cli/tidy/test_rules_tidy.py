import json

import click
import pytest

from tests.cli.running import Command
from tests.cli.tidy.small_tidying import DROP, FULL, JOIN, STALE, SmallTidying, keys_pressed
from tests.daemon.requests.small_handler import RunningServer
from tinysnitch.cli.rules import rules_group
from tinysnitch.cli.tidy import key_press, rules_tidy
from tinysnitch.cli.tidy.rules_tidy import find_gone, tidy_command
from tinysnitch.client.control_client import ControlClient
from tinysnitch.protocol.messages import ListEntry, ListProposals, ListState, TakeProposal


@pytest.fixture
def tidying(running: RunningServer) -> SmallTidying:
    running.handler._tidying = SmallTidying(DROP, JOIN, STALE)
    return running.handler._tidying


def take_of(*entries: object) -> list[object]:
    return [TakeProposal(entry.kind, entry.removed, entry.added) for entry in entries]  # type: ignore[attr-defined]


def test_without_a_terminal_the_proposals_are_only_shown(command: Command, tidying: SmallTidying) -> None:
    code, out, err = command("rules", "tidy")
    assert (code, err, tidying.taken) == (0, "", [])
    assert out.startswith("1 of 3  a wider rule says the same: allow *.test - -\n\n  - allow a.test - -\n")
    assert "  + allow *.b.test - -\n\n  also more\n" in out


def test_it_stands_beside_the_other_commands_for_rules() -> None:
    assert rules_group.get_command(click.Context(rules_group), "tidy") is tidy_command


def test_json_has_one_proposal_a_line(command: Command, tidying: SmallTidying) -> None:
    first, second, _third = map(json.loads, command("rules", "tidy", "--json").out.splitlines())
    assert first == {
        "kind": "covered",
        "removed": ["allow a.test - -"],
        "added": None,
        "why": DROP.why,
        "effect": "",
    }
    assert (second["kind"], second["added"]) == ("domain", JOIN.added)


def test_scripts_take_a_kind(command: Command, tidying: SmallTidying) -> None:
    assert command("rules", "tidy", "--yes", "domain").err == "tinysnitch: 1 proposal taken\n"
    assert tidying.taken == take_of(JOIN)
    code, _out, err = command("rules", "tidy", "--yes", "all")
    assert (code, tidying.taken) == (0, take_of(JOIN, DROP))
    assert "error: the rules have changed since" in err
    assert command("rules", "tidy", "--yes", "everything").code == 2


@pytest.mark.parametrize(
    ("keys", "taken"),
    [(["y", "n", "n"], [DROP]), (["n", "y", "y"], [JOIN]), (["n", "q"], []), (["y", "y", "q"], [DROP, JOIN])],
)
def test_each_proposal_is_taken_by_a_key(
    command: Command, tidying: SmallTidying, monkeypatch: pytest.MonkeyPatch, keys: list[str], taken: list[object]
) -> None:
    left = iter(keys)
    monkeypatch.setattr(rules_tidy, "is_on_terminal", lambda: True)
    monkeypatch.setattr(key_press, "ask_key", lambda _keys: next(left))
    assert command("rules", "tidy").code == 0
    assert tidying.taken == take_of(*taken)


def test_what_fails_half_way_is_told_and_the_rest_goes_on(command: Command, tidying: SmallTidying) -> None:
    tidying.entries = [FULL, JOIN]
    code, out, err = command("rules", "tidy", "--yes", "all")
    assert (code, tidying.taken) == (0, take_of(FULL, JOIN))
    assert "error: the disk is full" in err
    assert out.count("taken") == 1


def test_that_there_is_nothing_to_tidy_is_told(command: Command, tidying: SmallTidying) -> None:
    tidying.entries = []
    assert command("rules", "tidy") == (0, "", "tinysnitch: there is nothing to tidy\n")


def test_the_daemon_is_told_what_is_not_there_any_more(running: RunningServer, tidying: SmallTidying) -> None:
    running.handler.rules = [
        "allow user=nobody-of-this-name - - - /no/such/file",
        "allow parent=/no/parent user=1 @away - -",
    ]
    running.handler.lists = [ListEntry(list="away", path="/lists/away", rules=1, state=ListState.MISSING)]
    with ControlClient(running.path) as client:
        found = find_gone(client)
    assert found == ListProposals(("/no/parent", "/no/such/file"), ("nobody-of-this-name",), ("away",))
    running.handler.rules = [f"allow - - - /no/such/{number}-{'x' * 200}" for number in range(100)]
    with ControlClient(running.path) as client:
        assert 0 < len(find_gone(client).gone_paths) < 100


def test_keys_that_do_nothing_are_passed_over() -> None:
    with keys_pressed(b""):
        assert key_press.find_width() >= 40
    monkey = iter([b"x\x1b[A", b"Y"])
    with keys_pressed(b""):
        original, key_press.os.read = key_press.os.read, lambda *_: next(monkey)
        try:
            assert key_press.ask_key("yn") == "y"
            monkey = iter([b"\x1b"])
            assert key_press.ask_key("ynq") == "q"
            monkey = iter([b""])
            assert key_press.ask_key("ynq") == "q"
        finally:
            key_press.os.read = original
