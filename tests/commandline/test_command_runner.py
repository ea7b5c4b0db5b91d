"""How commands end: each installed command, and one that is made to fail in every way."""

import errno
import os
import re
import subprocess
import sys
import tomllib

import click
import pytest

from tests.repo.tree import ROOT
from tinysnitch.commandline.command_runner import run_command
from tinysnitch.core.model.errors import SHORTAGE_HINT, NotPermitted, SnitchError

SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
SHORTAGE = f"tinysnitch: error: {{}}\ntinysnitch: hint: {SHORTAGE_HINT}\n"
WHERE = "tinysnitch: hint: see where the output goes\n"
WHOLE = "tinysnitch: hint: see whether its file system is whole, and has room\n"
NO_ROOM = "tinysnitch: error: cannot write: No space left on device\n" + WHERE
NO_PROC = "tinysnitch: error: {}: No such file or directory\ntinysnitch: hint: mount -t proc proc /proc\n"
NO_NULL = "tinysnitch: error: /dev/null: No such file or directory\ntinysnitch: hint: mknod -m 666 /dev/null c 1 3\n"
NO_OPTION = "tinysnitch: error: no such option '--nonsense'\ntinysnitch: hint: see `{name} --help`\n"


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_command_ends_alike(name: str) -> None:
    assert end(name, "-h", "") == (0, "")
    assert end(name, "--help", ">/dev/full") == (1, NO_ROOM)
    assert end(name, "--nonsense", "<&-") == (2, NO_OPTION.format(name=name))
    assert end(name, "--nonsense", "<&- >&- 2>&-") == (2, "")


@pytest.mark.parametrize(
    ("words", "redirection", "exit_code", "said"),
    [
        ("--version", ">/dev/full", 1, NO_ROOM),
        ("--help", ">&-", 0, ""),
        ("--nonsense", "<&- >&-", 2, NO_OPTION),
        ("--nonsense", "2>/dev/full", 2, ""),
    ],
)
def test_a_command_ends_alike_wherever_its_output_goes(words: str, redirection: str, exit_code: int, said: str) -> None:
    """One stands for all, which open their streams and end by the same functions."""
    assert end("tinysnitch", words, redirection) == (exit_code, said.format(name="tinysnitch"))


def end(name: str, words: str, redirection: str) -> tuple[int, str]:
    """The exit code of an installed command, and what it printed to stderr."""
    module, function = SCRIPTS[name].split(":")
    code = f"from {module} import {function} as main; main()"
    line = f'"$0" -c "$1" {words} {redirection}'
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}  # buffered, as for people: the write may fail only at exit
    done = subprocess.run(["sh", "-c", line, sys.executable, code], capture_output=True, text=True, env=buffered)
    return done.returncode, done.stderr


def _ending_with(error: BaseException | None) -> click.Command:
    def callback() -> None:
        if error is not None:
            raise error

    return click.Command("x", callback=callback)


@pytest.mark.parametrize(
    ("error", "exit_code", "said"),
    [
        (None, 0, ""),
        (SnitchError("no", "try"), 1, "tinysnitch: error: no\ntinysnitch: hint: try\n"),
        (NotPermitted("no"), 4, "tinysnitch: error: no\n"),
        (click.UsageError("what"), 2, "tinysnitch: error: what\ntinysnitch: hint: see `x --help`\n"),
        (click.Abort(), 130, ""),
        (OSError(errno.EMFILE, "too many", "/proc/self/mounts"), 1, SHORTAGE.format("/proc/self/mounts: too many")),
        (OSError(errno.ENOBUFS, "no room"), 1, SHORTAGE.format("no room")),
        (BlockingIOError(errno.EAGAIN, "no process"), 1, SHORTAGE.format("no process")),
        (OSError(errno.EIO, "broken", "/etc/x"), 1, "tinysnitch: error: /etc/x: broken\n" + WHOLE),
        (OSError(errno.EIO, "broken"), 1, "tinysnitch: error: cannot write: broken\n" + WHERE),
        (OSError(errno.EDQUOT, "no quota"), 1, "tinysnitch: error: cannot write: no quota\n" + WHERE),
        (click.exceptions.Exit(7), 7, ""),
    ],
)
def test_how_a_command_ends(
    error: BaseException | None, exit_code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(_ending_with(error), "x", []) == exit_code
    assert capsys.readouterr() == ("", said)


def test_a_mistyped_option_is_told_what_it_was_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    command = click.Command("x", params=[click.Option(["--json"], is_flag=True)])
    assert run_command(command, "x", ["--jsn"]) == 2
    assert (
        capsys.readouterr().err
        == "tinysnitch: error: no such option '--jsn'\ntinysnitch: hint: did you mean `--json`?\n"
    )


@pytest.mark.privileged
@pytest.mark.parametrize(
    "words",
    [["tinysnitchd", "--cgroup", "/tmp"], ["tinysnitch-trace", "--cgroup", "/tmp"], ["tinysnitch", "run", "true"]],
)
def test_without_proc_a_command_says_what_is_missing(words: list[str]) -> None:
    """In a chroot without /proc."""
    module, function = SCRIPTS[words[0]].split(":")
    code = f"import sys; from {module} import {function} as main; sys.argv = {words!r}; main()"
    script = 'umount --lazy /proc; exec "$0" -c "$1"'
    command = ["unshare", "--net", "--mount", "sh", "-ec", script, sys.executable, code]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert re.fullmatch(NO_PROC.format("/proc/self/[a-z]+"), done.stderr), done.stderr


@pytest.mark.privileged
def test_without_a_null_device_a_command_says_what_is_missing() -> None:
    """In a chroot without /dev/null."""
    module, function = SCRIPTS["tinysnitch"].split(":")
    code = f"import sys; from {module} import {function} as main; sys.argv = ['tinysnitch', 'run', 'true']; main()"
    script = 'mount -t tmpfs none /dev; exec "$0" -c "$1"'
    command = ["unshare", "--net", "--mount", "sh", "-ec", script, sys.executable, code]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, NO_NULL)


def test_what_is_our_own_bug_keeps_its_traceback() -> None:
    with pytest.raises(FileNotFoundError):
        run_command(_ending_with(FileNotFoundError(errno.ENOENT, "gone", "/proc/self/gone")), "x", [])
