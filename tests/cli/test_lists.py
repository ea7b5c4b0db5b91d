import json
from pathlib import Path

import msgspec
import pytest

from tests.cli.running import Command
from tests.daemon.requests.small_handler import ALICE, Comers, RunningServer, running_server
from tinysnitch.cli.lists import present_lists
from tinysnitch.core.rules.list_entries import BadLine, parse_list
from tinysnitch.output import tables
from tinysnitch.protocol.messages import ListEntry, ListState

ADS = ListEntry(
    list="ads",
    path="/etc/tinysnitch.d/lists/ads",
    rules=1,
    state=ListState.LOADED,
    names=1_000_000,
    bad_lines=2,
    bad_examples=(BadLine(7, "? ?"),),
    updated=1_700_000_000.0,
    source="https://lists.test/ads",
)
NONE = ListEntry(list="none", path="/etc/tinysnitch.d/lists/none", rules=1, state=ListState.MISSING)


def test_the_table() -> None:
    assert list(present_lists([ADS, NONE], 1_700_000_000.0 + 3600)) == [
        "list      names  addresses   networks  bad lines      rules  age",
        "ads   1,000,000          0          0          2          1  1 h 0 min",
        "  from https://lists.test/ads",
        "  line 7 is not understood: ? ?",
        "none          0          0          0          0          1",
        "  MISSING, rules that name it match nothing: /etc/tinysnitch.d/lists/none",
    ]


def test_a_bad_line_reads_as_everywhere(running: RunningServer, command: Command) -> None:
    bad = parse_list("\x1b[2J \udcff é\u202e\n").bad_examples
    running.handler.lists = [msgspec.structs.replace(ADS, bad_examples=bad)]
    assert command("lists").out.splitlines()[-1] == r"  line 1 is not understood: \x1b[2J \xff é\u202e"


def remark_of(**fields: object) -> str:
    entry = ListEntry(**{"list": "ads", "path": "/x", "rules": 0, **fields})  # type: ignore[arg-type]
    return list(present_lists([entry], 0.0))[2].strip()


def test_what_is_said_of_a_list_that_is_not_as_it_should_be() -> None:
    assert remark_of(state=ListState.LOADING) == "being read"
    assert remark_of(state=ListState.LOADING, updated=1.0) == "being read, the old content stays in force"
    assert (
        remark_of(state=ListState.LOADED, problem="no room") == "NOT RELOADED, the old content stays in force: no room"
    )
    assert remark_of(state=ListState.MISSING, problem="no room") == "MISSING, rules that name it match nothing: no room"


def test_lists_over_the_socket(running: RunningServer, command: Command) -> None:
    """The daemon may have been given another folder."""
    place = "/etc/tinysnitch.d/lists, or in the folder of `tinysnitchd --lists`"
    assert command("lists") == (0, "", f"tinysnitch: there is no list: make one as a file in {place}\n")
    assert command("lists", "--json") == (0, "", "")
    running.handler.lists = [ADS, NONE]
    assert command("lists").out.splitlines()[4].split() == ["none", "0", "0", "0", "0", "1"]
    ads, none = map(json.loads, command("lists", "--json").out.splitlines())
    assert (ads["list"], ads["names"], ads["updated"]) == ("ads", 1_000_000, "2023-11-14T22:13:20.000Z")
    assert ads["bad_examples"] == [{"number": 7, "text": "? ?"}]
    assert (none["state"], none["updated"]) == ("missing", None)


def test_who_sees_no_lists_is_not_told_that_there_is_none(command: Command, tmp_path: Path) -> None:
    with running_server(tmp_path / "socket", Comers(ALICE)):
        told = command("lists")
    assert told == (0, "", "tinysnitch: lists are shown only to those who may see everything: run this as root\n")


def test_on_a_terminal_columns_without_a_count_are_left_out(
    running: RunningServer, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    running.handler.lists = [ADS, NONE]
    out = command("lists").out.splitlines()
    assert out[0].split() == ["list", "names", "bad", "lines", "rules", "age"]
    assert out[-1].startswith("  MISSING, rules that name it match nothing: ")
