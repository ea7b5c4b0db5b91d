import pytest

from tests.cli.running import Command
from tests.daemon.requests.small_handler import RunningServer
from tinysnitch.cli.rule_doubts import find_doubts, is_missing, tell_of_suffixes
from tinysnitch.client.control_client import ControlClient
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.protocol.messages import ListEntry, ListState


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("allow until=2020-01-01T00:00:00Z - - -", "it ended at 2020-01-01T00:00:00.000Z"),
        ("allow user=nobody-of-this-name - - -", "there is no user nobody-of-this-name"),
        ("allow - - - /no/such/file -s", "there is no file /no/such/file"),
        ("deny parent=/no/such/file - - -", "there is no file /no/such/file"),
        ("allow - - - /etc/passwd/x", "there is no file /etc/passwd/x"),
        ("allow user=$'a\\x00' - - -", "there is no user a\\x00"),
        ("deny - - - /usr/bin", "/usr/bin is a folder; /usr/bin/** means every file below it"),
        ("deny - - - /usr/bin/", "/usr/bin/ is a folder; /usr/bin/** means every file below it"),
        ("deny @nolist - -", "there is no list /lists/nolist"),
        ("deny @locked - -", "the list /lists/locked cannot be read: Permission denied"),
        ("deny @new - -", "the list /lists/new is still being read"),
    ],
)
def test_what_can_match_nothing_is_added_and_told(
    running: RunningServer, command: Command, line: str, reason: str
) -> None:
    running.handler.lists = [
        ListEntry(list="nolist", path="/lists/nolist", rules=1, state=ListState.MISSING),
        ListEntry(list="locked", path="/lists/locked", rules=1, state=ListState.MISSING, problem="Permission denied"),
        ListEntry(list="new", path="/lists/new", rules=0, state=ListState.LOADING),
    ]
    assert command("rules", "add", line) == (0, f"{line}\n", f"tinysnitch: the rule matches nothing: {reason}\n")


@pytest.mark.parametrize(
    "line",
    [
        "allow user=root until=2999-01-01T00:00:00Z - - -",
        "allow user=54321 - - -",
        "deny @ads - -",
        "allow - - - /bin/sh -c x",
        "allow - - - /no/such/*",
        "allow - - - unit:no.service",
    ],
)
def test_what_can_match_is_added_without_a_word(running: RunningServer, command: Command, line: str) -> None:
    running.handler.lists = [
        ListEntry(list="ads", path="/lists/ads", rules=1, state=ListState.LOADING, updated=1.0),
        ListEntry(list="nolist", path="/lists/nolist", rules=1, state=ListState.MISSING),
    ]
    assert command("rules", "add", line) == (0, f"{line}\n", "")


def test_every_reason_is_told(running: RunningServer) -> None:
    with ControlClient(running.path) as client:
        assert list(find_doubts("deny user=nobody-of-this-name parent=/no/parent - - - /no/file", client)) == [
            "there is no user nobody-of-this-name",
            "there is no file /no/file",
            "there is no file /no/parent",
        ]


def test_a_path_that_nobody_may_look_at_is_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(path)

    with monkeypatch.context() as patch:
        patch.setattr("os.stat", refuse)
        found = is_missing("/x")
    assert not found
    assert not is_missing("/\0")


def test_only_what_allows_a_whole_public_suffix_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["allow *.co.uk - -", "allow *.shop.test - -", "allow *.lan - -", "deny *.com - -", "allow com - -"]
    tell_of_suffixes(map(parse_rule, lines))
    assert capsys.readouterr().err == "tinysnitch: anybody can have a name in *.co.uk: allow *.co.uk - -\n"
