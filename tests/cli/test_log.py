import json
from pathlib import Path

import pytest

from tests.cli.running import Command
from tests.daemon.requests.small_handler import ALICE, ROOT, Comers, RunningServer, running_server
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.output import tables
from tinysnitch.store.history import History


def test_lines_for_people(running: RunningServer, command: Command) -> None:
    assert command("log", "--lines", "2") == (0, "t WARNING lost 3 packets\nt WARNING lost 4 packets\n", "")


@pytest.mark.parametrize("number", ["x", "-5", "200001", "1_000", ""])
def test_so_many_lines_are_a_number(command: Command, number: str) -> None:
    code, _out, err = command("log", "--lines", number)
    assert (code, err.splitlines()[0]) == (
        2,
        f"tinysnitch: error: invalid value for '--lines': {number!r} is not a number from 0 to 200000",
    )


def test_whoever_did_not_choose_how_many_hears_that_there_may_be_more(running: RunningServer, command: Command) -> None:
    running.handler.history = [
        b'{"event":"lost","time":"t","what":"packets","count":%d}' % count for count in range(1500)
    ]
    done = command("log", "--json")
    assert done.out.splitlines()[0] == running.handler.history[500].decode()
    assert done.err == ("tinysnitch: these are the newest 1000 lines; `tinysnitch log --lines 200000` prints all\n")
    assert command("log", "--lines", "1000").err == ""
    assert command("log", "--lines", "200000").out.count("\n") == 1500


@pytest.mark.parametrize(
    ("right", "note"),
    [(ROOT, "the log is empty"), (ALICE, "the log has nothing that you may see")],
    ids=["root", "user"],
)
def test_that_the_log_is_empty_is_told_beside_it(command: Command, tmp_path: Path, right: Right, note: str) -> None:
    with running_server(tmp_path / "socket", Comers(right, right, right)) as running:
        running.handler.history = []
        assert command("log") == (0, "", f"tinysnitch: {note}\n")
        assert command("log", "--json") == (0, "", "")
        assert command("log", "--lines", "0") == (0, "", "")


def test_json_lines_are_as_they_were_written(running: RunningServer, command: Command) -> None:
    out = command("log", "--json").out
    assert out.encode() == b"".join(line + b"\n" for line in running.handler.history)
    assert [json.loads(line)["count"] for line in out.splitlines()] == [0, 1, 2, 3, 4]


def test_a_line_of_another_version_is_shown_as_it_is(running: RunningServer, command: Command) -> None:
    running.handler.history = [b'{"event":"of old"}']
    assert command("log").out == '{"event":"of old"}\n'


@pytest.mark.parametrize("follow", [(), ("--follow",)])
def test_a_history_that_cannot_be_read_is_no_empty_one(
    running: RunningServer, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, follow: tuple[str, ...]
) -> None:
    path = tmp_path / "none" / "history.db"

    def read_history(limit: int, _right: Right) -> list[bytes]:
        return list(History(path).read_newest(limit))

    monkeypatch.setattr(running.handler, "read_history", read_history)
    done = command("log", *follow)
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines() == [
        f"tinysnitch: error: the history {path} cannot be read: No such file or directory",
        "tinysnitch: hint: see that its folder is there, and has room; "
        "`tinysnitch log --follow --lines 0` shows what happens now",
    ]


def test_on_a_terminal_it_is_a_table(running: RunningServer, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables.os, "isatty", lambda _fd: True)
    monkeypatch.setenv("COLUMNS", "80")
    running.handler.history.append(b'{"event":"of old"}')
    out = command("log", "--lines", "2").out.splitlines()
    assert out == ["t         lost    4 packets", '{"event":"of old"}']
