"""A folder stands for the cgroup: `cgroup.procs` in it gets what the kernel would get."""

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path

import pytest

from tinysnitch.cli.judged_command import CommandNotRun, JudgedCommand, check_command, send_signal
from tinysnitch.core.model.errors import SnitchError


def run(command: list[str], cgroup: Path, *, has_terminal: bool = False) -> int:
    async def play() -> int:
        judged = JudgedCommand(has_terminal)
        await judged.start(command, str(cgroup))
        return await judged.wait()

    return asyncio.run(play())


def make_script(path: Path, text: str, mode: int = 0o755) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_it_enters_its_cgroup_first(tmp_path: Path) -> None:
    assert run(["test", "-s", str(tmp_path / "cgroup.procs")], tmp_path) == 0
    assert (tmp_path / "cgroup.procs").read_text() == "0"


@pytest.mark.parametrize(("script", "status"), [("exit 41", 41), ("kill -9 $$", 137), ("kill -INT $$", 130)])
def test_the_status_is_as_a_shell_says_it(tmp_path: Path, script: str, status: int) -> None:
    assert run(["sh", "-c", script], tmp_path) == status


def test_what_cannot_be_found_or_executed(tmp_path: Path) -> None:
    plain = make_script(tmp_path / "plain", "#!/bin/sh\n", 0o644)
    told = {
        "no-such-command": (127, "no-such-command: command not found"),
        "": (127, "'': command not found"),
        str(tmp_path / "none"): (127, "no such file"),
        str(tmp_path): (126, "is a directory"),
        plain: (126, "is not executable"),
    }
    for name, (exit_code, problem) in told.items():
        with pytest.raises(CommandNotRun, match=problem) as caught:
            check_command(name)
        assert (caught.value.exit_code, bool(caught.value.hint)) == (exit_code, True)
    check_command("sh")


def test_what_only_exec_can_tell(tmp_path: Path) -> None:
    scripts = {
        make_script(tmp_path / "orphan", "#!/no/such/interpreter\n"): (127, "interpreter"),
        make_script(tmp_path / "text", "echo\n"): (126, "neither a program nor a script"),
    }
    for script, (exit_code, problem) in scripts.items():
        check_command(script)
        with pytest.raises(CommandNotRun, match=problem) as caught:
            run([script], tmp_path)
        assert caught.value.exit_code == exit_code


def test_a_cgroup_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(SnitchError, match="firewall has ended"):
        run(["true"], tmp_path / "gone")


def signalled(cgroup: Path, number: signal.Signals, *, has_terminal: bool) -> int:
    """The command signals us; it ends with 9 when that is passed on, with 5 when it is not."""
    name, wait_s = number.name.removeprefix("SIG"), 0.2 if has_terminal else 60
    script = f"trap 'kill $! 2>/dev/null; exit 9' {name}; kill -{name} $PPID; sleep {wait_s} & wait $!; exit 5"
    return run(["sh", "-c", script], cgroup, has_terminal=has_terminal)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_signals_go_to_the_command(tmp_path: Path, number: signal.Signals) -> None:
    assert signalled(tmp_path, number, has_terminal=False) == 9


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_the_terminal_has_sent_these_to_the_command_already(tmp_path: Path, number: signal.Signals) -> None:
    assert signalled(tmp_path, number, has_terminal=True) == 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_who_was_started_to_ignore_a_signal_passes_that_on(tmp_path: Path, number: signal.Signals) -> None:
    """As nohup(1) does, and a shell in a script that starts us by `&`."""
    name = number.name.removeprefix("SIG")
    before = signal.signal(number, signal.SIG_IGN)
    try:
        assert run(["sh", "-c", f"kill -{name} $PPID; kill -{name} $$; exit 5"], tmp_path) == 5
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_the_command_has_the_descriptors_that_we_were_given(tmp_path: Path) -> None:
    """Bash's `<(...)` is one, and make has some for its jobs."""
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)  # like descriptors that this process inherited
    try:
        assert run(["sh", "-c", f"echo hello >/dev/fd/{writer}"], tmp_path) == 0
        assert os.read(reader, 16) == b"hello\n"
    finally:
        os.close(reader)
        os.close(writer)


def test_a_signal_that_comes_before_the_command_goes_to_it(tmp_path: Path) -> None:
    async def play() -> int:
        judged = JudgedCommand(has_terminal=False)
        starting = asyncio.create_task(judged.start(["sleep", "60"], str(tmp_path)))
        await asyncio.sleep(0)
        judged._pass_on(signal.SIGTERM)
        await starting
        return await judged.wait()

    assert asyncio.run(play()) == 128 + signal.SIGTERM


async def _start(script: str) -> Process:
    child = await asyncio.create_subprocess_exec("sh", "-c", script, stdin=PIPE, stdout=PIPE)
    assert child.stdout
    await child.stdout.readline()  # the child runs
    return child


def test_a_child_gets_it() -> None:
    async def play() -> int:
        child = await _start("trap 'exit 9' TERM; echo; read never")
        send_signal(child, signal.SIGTERM)
        return await child.wait()

    assert asyncio.run(play()) == 9


@pytest.mark.parametrize("is_told", [False, True])
def test_one_that_has_ended_keeps_its_status(is_told: bool) -> None:
    async def play() -> int:
        child = await _start("echo; read line; exit 3")
        assert child.stdin
        child.stdin.write(b"\n")
        with suppress(ChildProcessError):  # Python 3.11 waits in a thread, which may be faster
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - the loop has no turn meanwhile
        if is_told:
            await child.wait()
        send_signal(child, signal.SIGTERM)
        return await child.wait()

    assert asyncio.run(play()) == 3
