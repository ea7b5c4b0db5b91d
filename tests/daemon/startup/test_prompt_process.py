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
from tinysnitch.core.model.scope import Scope
from tinysnitch.daemon.options import Options
from tinysnitch.daemon.startup import prompt_process
from tinysnitch.daemon.startup.prompt_process import (
    PromptProcess,
    find_caller,
    find_window,
    how_to_be_asked,
    session_environment,
)

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


SCREEN = {"DISPLAY": ":7", "SECRET": "x", "TINYSNITCH_FONTSIZE": "20", "LD_PRELOAD": "/tmp/x.so"}


def test_only_what_names_the_session_is_passed_on(tmp_path: Path) -> None:
    told = session_environment(ME, SCREEN, tmp_path)
    assert told.items() >= {"DISPLAY": ":7", "TINYSNITCH_FONTSIZE": "20", "HOME": ME.pw_dir, "USER": ME.pw_name}.items()
    assert told["XAUTHORITY"] == f"{ME.pw_dir}/.Xauthority"
    assert not told.keys() & {"SECRET", "LD_PRELOAD"}


def test_all_that_names_the_session_is_passed_on(tmp_path: Path) -> None:
    of_session = ("WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "XDG_SESSION_TYPE", "XDG_CURRENT_DESKTOP")
    given = dict.fromkeys((*of_session, "DBUS_SESSION_BUS_ADDRESS", "LANG", "LC_ALL"), "x")
    given |= {"TINYSNITCH_DELAY_SECONDS": "2", "QT_SCALE_FACTOR": "2"}
    assert session_environment(ME, given, tmp_path).items() >= given.items()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_no_screen_is_taken_from_a_process_of_another_user(tmp_path: Path) -> None:
    (tmp_path / "20").mkdir()
    (tmp_path / "20" / "environ").write_bytes(b"DISPLAY=:3\0")
    os.chown(tmp_path / "20", NOBODY, NOBODY)
    with pytest.raises(SnitchError, match="no screen"):
        session_environment(ME, {}, tmp_path)


def test_the_screen_is_found_at_a_process_of_the_user(tmp_path: Path) -> None:
    for pid, environ in (
        (1, b"A=b\0DISPLAY=:3\0"),
        (20, b"WAYLAND_DISPLAY=wayland-0\0LD_PRELOAD=x\0junk\0"),
        (30, b""),
    ):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "environ").write_bytes(environ)
    for name in ("40", "self"):  # one is gone meanwhile, the other is no process
        (tmp_path / name).mkdir()
    told = session_environment(ME, {}, tmp_path)
    assert told["WAYLAND_DISPLAY"] == "wayland-0"
    assert "LD_PRELOAD" not in told


def test_the_folder_of_the_session_is_named_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without systemd-logind or elogind there is none, and the window would not start if it were named."""
    monkeypatch.setattr("tinysnitch.daemon.startup.prompt_process.RUNTIME", tmp_path)
    assert "XDG_RUNTIME_DIR" not in session_environment(ME, SCREEN)
    (folder := tmp_path / str(ME.pw_uid)).mkdir()
    assert session_environment(ME, SCREEN)["XDG_RUNTIME_DIR"] == str(folder)
    assert session_environment(ME, {**SCREEN, "XDG_RUNTIME_DIR": "/x"})["XDG_RUNTIME_DIR"] == "/x"


def test_no_screen_is_an_error_to_act_on(tmp_path: Path) -> None:
    with pytest.raises(SnitchError, match="no screen"):
        session_environment(ME, {}, tmp_path)


CALLED = {"SUDO_UID": str(ME.pw_uid), "DISPLAY": ":7"}


@pytest.mark.parametrize(
    ("options", "environment", "is_shown"),
    [
        (Options(), CALLED, True),
        (Options(), {"SUDO_UID": str(ME.pw_uid), "WAYLAND_DISPLAY": "wayland-0"}, True),
        (Options(), {"SUDO_UID": str(ME.pw_uid)}, False),  # no desktop
        (Options(), {"DISPLAY": ":7"}, False),  # nobody called it: root's own session, or a service
        (Options(), {**CALLED, "SUDO_UID": "99999999999"}, False),
        (Options(has_prompt=False), CALLED, False),
        (Options(has_prompt=True), {"DISPLAY": ":7"}, True),
        (Options(is_learning=True), CALLED, False),
        (Options(timeout_s=0), CALLED, False),
        (Options(scope=Scope.COMMAND), CALLED, False),
    ],
)
def test_where_a_window_is_shown(
    options: Options, environment: dict[str, str], is_shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompt_process, "find_spec", lambda _name: object())
    assert (find_window(options, environment) is not None) is is_shown


def test_without_qt_there_is_no_window_unless_it_is_insisted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_process, "find_spec", lambda _name: None)
    assert find_window(Options(), CALLED) is None
    assert find_window(Options(has_prompt=True), CALLED) is not None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (Options(), "run `tinysnitch prompt` in another terminal, as root"),
        (Options(admins=("alice", "%sudo")), "run `tinysnitch prompt` in another terminal, as root or alice or %sudo"),
        (Options(socket=Path("/a b")), "run `tinysnitch prompt --socket '/a b'` in another terminal, as root"),
    ],
)
def test_how_to_be_asked(options: Options, told: str) -> None:
    assert how_to_be_asked(options) == told
