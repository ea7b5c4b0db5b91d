"""`make run`: the command's words and exit status, the log, errors. The README's lines: tests/lab/test_readme.py."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S
from tests.lab.private_machine import PrivateMachine
from tests.lab.world import WORLD4
from tests.repo.tree import ROOT

pytestmark = [pytest.mark.privileged]


@pytest.mark.parametrize(
    ("command", "status"),
    [(f"curl -sS http://{WORLD4}/; exit 3", 3), ("it='a b'; [ \"$it\" = 'a b' ] && exit 4", 4)],
)
def test_the_shells_words_and_its_exit_status_come_through(lab: Lab, command: str, status: int) -> None:
    words = [*PrivateMachine(lab).enter(), "make", "-s", "-o", "setup", "run", f"CMD={command}"]
    ran = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=WAIT_S)
    assert f"Error {status}" in ran.stderr  # make says it, and ends with 2
    assert ("refused" in ran.stderr) == (WORLD4 in command)


EARLIER = "tinysnitch: error: of yesterday\n"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("echo 'tinysnitch: error: no iptables'; echo 'tinysnitch: hint: install it'", ": no iptables"),
        ("echo 'it is not executable'", ": it is not executable"),
        ("true", ""),
    ],
)
def test_a_daemon_that_does_not_start_is_told_with_its_own_words(tmp_path: Path, said: str, told: str) -> None:
    """Errors that an earlier daemon left in the log do not count; if it said nothing, there is no colon either."""
    (tmp_path / "log").write_text(EARLIER)
    assert run_with_daemon(tmp_path, said) == (1, f"tinysnitch: error: the firewall did not start{told}")


def run_with_daemon(folder: Path, does: str, prompt: str = "exit 3") -> tuple[int, str]:
    """`make run` with a stub for the daemon and the prompt; its exit status, and the first line of its errors."""
    ran = run_with_stubs(folder, does, prompt)
    return ran.returncode, [*ran.stderr.splitlines(), ""][0]


def run_with_stubs(folder: Path, does: str, prompt: str) -> subprocess.CompletedProcess[str]:
    shutil.copytree(ROOT / "packaging", folder / "packaging")
    script = folder / "packaging" / "run.sh"
    script.write_text(script.read_text().replace("LOOK_S=60", "LOOK_S=0.2"))
    commands = folder / ".venv" / "bin"
    commands.mkdir(parents=True)
    for name, action in (("tinysnitchd", does), ("tinysnitch", prompt)):
        (commands / name).write_text(f"#!/bin/sh\n{action}\n")
        (commands / name).chmod(0o755)
    environment = {**os.environ, "TINYSNITCH_LOG": str(folder / "log")}
    return subprocess.run([script], env=environment, capture_output=True, text=True, timeout=WAIT_S)


STANDS = "echo $$ >{folder}/pid; exec sleep 60"
NOTHING = """[ "$1" = prompt ] || echo "{{\\"pid\\":$(cat {folder}/pid),\\"not_enforcing\\":\\"\\"}}"
"""


def test_what_it_says_fits_a_terminal_of_80_columns(tmp_path: Path) -> None:
    """An earlier text was one character longer, and its full stop stood alone in a second row."""
    ran = run_with_stubs(tmp_path, STANDS.format(folder=tmp_path), NOTHING.format(folder=tmp_path))
    said = ran.stdout.replace(str(tmp_path / "log"), "/var/log/tinysnitch.log")
    assert "others could read" not in said
    assert "Ctrl-C takes it away again" in said
    assert [line for line in said.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize(("megabytes", "is_put_aside"), [(63, False), (65, True)])
def test_a_log_that_has_grown_large_is_put_aside(tmp_path: Path, megabytes: int, is_put_aside: bool) -> None:
    log, aside = tmp_path / "log", tmp_path / "log.1"
    log.write_text(EARLIER)
    os.truncate(log, megabytes << 20)
    aside.write_text("of the day before")
    assert run_with_daemon(tmp_path, "echo none")[1].endswith(": none")
    assert aside.read_bytes().startswith(EARLIER.encode() if is_put_aside else b"of the day before")
    assert (log.read_bytes() == b"none\n") is is_put_aside


def test_a_new_log_is_for_nobody_elses_eyes(tmp_path: Path) -> None:
    """It tells of other users' processes, as `tinysnitch log` does to root alone."""
    assert run_with_daemon(tmp_path, "echo none")[1].endswith(": none")
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_an_old_log_that_others_can_read_is_closed_and_that_is_said(tmp_path: Path) -> None:
    for name in ("log", "log.1"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o644)
    ran = run_with_stubs(tmp_path, STANDS.format(folder=tmp_path), NOTHING.format(folder=tmp_path))
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("log", "log.1")]
    assert modes == [0o640, 0o640]
    assert f"others could read {tmp_path}/log {tmp_path}/log.1 and secrets" in ran.stdout


FLOOD = """
echo $$ >{folder}/pid
echo 'the first line'
truncate -s 65M {folder}/log
echo 'put aside'
until [ ! -s {folder}/log ]; do sleep 0.1; done
echo 'the last line'
exec sleep 60
"""
PROMPT = """
pid=$(cat {folder}/pid)
[ "$1" = prompt ] || {{ echo "{{\\"pid\\":$pid,\\"not_enforcing\\":\\"\\"}}"; exit; }}
until grep -aq 'the last line' {folder}/log; do sleep 0.1; done
"""


def test_a_log_that_grows_large_meanwhile_is_put_aside(tmp_path: Path) -> None:
    status, error = run_with_daemon(tmp_path, FLOOD.format(folder=tmp_path), PROMPT.format(folder=tmp_path))
    assert (status, error) == (0, "")
    aside = (tmp_path / "log.1").read_bytes()
    assert aside.startswith(b"the first line\n")
    assert aside.endswith(b"put aside\n")
    assert (tmp_path / "log").read_bytes() == b"the last line\n"


NO_ROOM = """#!/bin/sh
head -c 1000 "$3" >"$4"
exit 1
"""


def test_a_log_that_there_is_no_room_to_put_aside_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it would grow on, beside an incomplete copy of itself, on a disk that is full."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "cp").write_text(NO_ROOM)
    (tools / "cp").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    assert run_with_daemon(tmp_path, FLOOD.format(folder=tmp_path), PROMPT.format(folder=tmp_path)) == (0, "")
    assert (tmp_path / "log").read_bytes() == b"the last line\n"
    assert not (tmp_path / "log.1").exists()


def test_a_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    environment = {**os.environ, "TINYSNITCH_LOG": str(tmp_path / "nosuch" / "log")}
    script = ROOT / "packaging" / "run.sh"
    ran = subprocess.run([script], env=environment, capture_output=True, text=True, timeout=WAIT_S)
    assert (ran.returncode, ran.stderr.splitlines()) == (
        1,
        [
            f"tinysnitch: error: the log {tmp_path}/nosuch/log cannot be written",
            "tinysnitch: hint: TINYSNITCH_LOG names another file",
        ],
    )
