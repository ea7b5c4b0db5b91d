"""Which words of the command line are ours, and which the command's. For the rest see tests/lab/test_run.py."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import Command
from tests.daemon.requests.small_handler import RunningServer
from tinysnitch.cli import scoped_run
from tinysnitch.cli.judged_command import JudgedCommand
from tinysnitch.tui import plain_prompt


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    """The commands that were run; each ends with 5."""
    commands: list[tuple[tuple[str, ...], dict[str, Any]]] = []

    class Run:
        def __init__(self, command: tuple[str, ...], **options: object) -> None:
            commands.append((command, options))

        async def run(self) -> int:
            return 5

    monkeypatch.setattr(scoped_run, "ScopedRun", Run)
    return commands


@pytest.mark.parametrize("words", ["--learn -- curl --rules x --help", "--learn curl --rules x --help"])
def test_options_after_the_command_are_the_commands(
    command: Command, started: list[tuple[tuple[str, ...], dict[str, Any]]], words: str
) -> None:
    assert command.plain("run", *words.split()) == (5, "", "")
    options = {"rules": None, "is_learning": True, "socket_path": None, "is_plain": False}
    assert started == [(("curl", "--rules", "x", "--help"), options)]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("", "missing argument 'COMMAND...'"),
        ("--", "missing argument 'COMMAND...'"),
        ("--lern -- make", "no such option '--lern'"),
        (
            "--rules /no/such/file -- make",
            "invalid value for '--rules': there is no file '/no/such/file'\ntinysnitch: hint: make it first",
        ),
        ("--rules /etc -- make", "invalid value for '--rules': '/etc' is a folder\n"),
        ("--rules /dev/zero -- make", "invalid value for '--rules': '/dev/zero' is not a regular file\n"),
        ("--rules= -- make", "invalid value for '--rules': the path is empty\n"),
        ("--socket= -- make", "invalid value for '--socket': the path is empty"),
    ],
)
def test_wrong_words(command: Command, words: str, error: str) -> None:
    code, out, err = command.plain("run", *words.split())
    assert (code, out) == (2, "")
    assert err.startswith(f"tinysnitch: error: {error}")


def test_a_pipe_holds_no_rules(command: Command, started: list[tuple[tuple[str, ...], dict[str, Any]]]) -> None:
    """The daemon would not find such a path, bash's `<(...)` for one, and take the file for missing."""
    reader, writer = os.pipe()
    place = f"/dev/fd/{reader}"
    code, _out, err = command.plain("run", "--rules", place, "--", "make")
    os.close(reader)
    os.close(writer)
    assert (code, f"{place!r} is not a regular file" in err, started) == (2, True, []), err


def test_a_file_that_is_named_by_a_descriptor_is_the_same_for_the_daemon(
    command: Command, started: list[tuple[tuple[str, ...], dict[str, Any]]], tmp_path: Path
) -> None:
    """`--rules /dev/stdin <FILE`"""
    rules = tmp_path / "rules"
    rules.touch()
    with rules.open() as file:
        command.plain("run", "--rules", f"/dev/fd/{file.fileno()}", "--", "make")
    command.plain("run", "--rules", "/dev/null", "--", "make")
    assert [options["rules"] for _words, options in started] == [str(rules), "/dev/null"]


def test_without_root_it_is_4(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "access", lambda *_what: False)  # a file that only root may read does not come first
    for words in ("-- true", *(f"--rules {file} -- true" for file in ("/etc/passwd", "/etc", "/root/.none/rules"))):
        code, _out, err = command.plain("run", *words.split())
        assert code == 4
        assert "with sudo" in err


def test_a_prompt_that_fails_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Else nobody would be asked, and each question of the command would wait until its time is over."""

    async def fail(*_: object, **_options: object) -> None:
        raise LookupError("no such colour")

    monkeypatch.setattr(scoped_run, "is_terminal", lambda: True)
    monkeypatch.setattr(plain_prompt, "run_plain_prompt", fail)
    run = scoped_run.ScopedRun(["make"], rules=None, is_learning=False, socket_path="/none", is_plain=False)
    asyncio.run(run._ask("/none", JudgedCommand(has_terminal=True)))
    assert capsys.readouterr().err.startswith(
        "tinysnitch: error: the prompt failed: no such colour\ntinysnitch: hint: "
    )


def test_that_a_daemon_judges_the_machine_too_is_told_where_it_judges(
    running: RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The summary has what the command's own firewall allowed, and the machine's may have refused it."""
    scoped_run.tell_of_daemon(str(running.path))
    assert capsys.readouterr().err == "", "it is of another network namespace"
    running.handler.netns = os.stat("/proc/self/ns/net").st_ino
    scoped_run.tell_of_daemon(str(running.path))
    told = "tinysnitch: a daemon judges this machine, too: `tinysnitch log` shows what it refused\n"
    assert capsys.readouterr().err == told
    scoped_run.tell_of_daemon("/none")
    assert capsys.readouterr().err == ""
