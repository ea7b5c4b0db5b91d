"""Which user the window is for, and that it ends. tests/qt tests the window itself."""

import asyncio
import os
import pwd
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.patience import wait_until
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.daemon.startup import prompt_process
from tinysnitch.daemon.startup.prompt_process import PromptProcess, find_caller

NOBODY = 65534
ME = pwd.getpwuid(os.getuid())


@pytest.mark.parametrize(
    ("environment", "uid"),
    [
        ({}, os.getuid()),
        ({"SUDO_UID": str(NOBODY)}, NOBODY),
        ({"SUDO_UID": "0", "TINYSNITCH_PROMPT_USER": "daemon"}, pwd.getpwnam("daemon").pw_uid),
        ({"TINYSNITCH_PROMPT_USER": "0"}, 0),
    ],
)
def test_for_whom_it_is(environment: dict[str, str], uid: int) -> None:
    assert find_caller(environment).pw_uid == uid


@pytest.mark.parametrize("said", ["nobody-is-called-so", "99999999999999999999", "-1", "²"])
def test_nobody_is_an_error_to_act_on(said: str) -> None:
    with pytest.raises(SnitchError, match="there is no user"):
        find_caller({"TINYSNITCH_PROMPT_USER": said})


def stand_in(folder: Path, script: str) -> Path:
    """A command in place of the window, which writes down what it was given, and waits. Returns where it writes."""
    command, told = folder / "tinysnitch-prompt", folder / "told"
    command.write_text(f"#!/bin/sh\n{script} >{told}.new\nmv {told}.new {told}\nexec sleep 60\n")
    command.chmod(0o755)
    return told


async def start_and_stop(prompt: PromptProcess, told: Path, ended_by: signal.Signals = signal.SIGTERM) -> None:
    await prompt.stop()  # nothing was started
    await prompt.start((300, 4000))
    await asyncio.to_thread(wait_until, told.exists)
    await prompt.stop()
    assert prompt._process
    assert prompt._process.returncode == -ended_by
    await prompt.stop()


def test_it_is_started_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = stand_in(tmp_path, 'echo "$DISPLAY $HOME $* $(ulimit -n)"')
    monkeypatch.setattr(prompt_process.sys, "executable", str(tmp_path / "python"))
    asyncio.run(start_and_stop(PromptProcess(tmp_path / "socket", {"DISPLAY": ":7"}), told))
    assert told.read_text() == f":7 {ME.pw_dir} --socket {tmp_path}/socket 300\n"


def test_one_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = stand_in(tmp_path, "trap '' TERM; echo")
    monkeypatch.setattr(prompt_process.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(prompt_process, "END_S", 0.05)
    asyncio.run(start_and_stop(PromptProcess(tmp_path / "socket", {"DISPLAY": ":7"}), told, signal.SIGKILL))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may use."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


@pytest.fixture
def _in_more_groups() -> Iterator[None]:
    before = os.getgroups()
    os.setgroups([0, 4])
    yield
    os.setgroups(before)


@pytest.mark.privileged
@pytest.mark.usefixtures("_in_more_groups")
def test_it_is_the_callers_alone(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = stand_in(open_folder, "grep -E '^(Uid|Gid|Groups):' /proc/self/status")
    monkeypatch.setattr(prompt_process.sys, "executable", str(open_folder / "python"))
    caller = {"SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY), "SUDO_USER": "nobody", "DISPLAY": ":7"}
    asyncio.run(start_and_stop(PromptProcess(open_folder / "socket", caller), told))
    lines = told.read_text().splitlines()
    assert [line.split(":")[0] for line in lines] == ["Uid", "Gid", "Groups"]
    assert {number for line in lines for number in line.split()[1:]} == {str(NOBODY)}


def test_a_command_that_is_not_there_is_an_error_to_act_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_process.sys, "executable", str(tmp_path / "python"))
    prompt = PromptProcess(tmp_path / "socket", {"DISPLAY": ":7"})
    with pytest.raises(SnitchError, match="cannot start"):
        asyncio.run(prompt.start((300, 4000)))
