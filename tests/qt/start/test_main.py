"""The command line of tinysnitch-prompt, from its start to its end."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab.daemon import BIN
from tests.lab.patience import wait_until
from tests.qt.desktop import WAIT_S, Desktop
from tests.repo.tree import ROOT
from tinysnitch.qt.start.main import main

COMMAND = str(BIN / "tinysnitch-prompt")


def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run([COMMAND, *words], env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("words", "variables", "exit_code", "said"),
    [
        ([], {}, 1, "DISPLAY is not set"),
        (["--monitor"], {}, 1, "DISPLAY is not set"),
        (["--nonsense"], {}, 2, "no such option '--nonsense'"),
        (["--socket", ""], {"DISPLAY": ":0"}, 2, "the path is empty"),
        ([], {"DISPLAY": ":0", "TINYSNITCH_FONTSIZE": "big"}, 1, "TINYSNITCH_FONTSIZE is not a number"),
    ],
)
def test_errors_are_a_line_and_a_hint(
    words: list[str],
    variables: dict[str, str],
    exit_code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["tinysnitch-prompt", *words])
    with pytest.raises(SystemExit) as end:
        main()
    problem, hint = capsys.readouterr().err.splitlines()
    assert (end.value.code, said in problem, hint.partition("hint: ")[0]) == (exit_code, True, "tinysnitch: ")


def test_a_qt_that_does_not_load_is_an_error_as_any(tmp_path: Path) -> None:
    (tmp_path / "PySide6.py").write_text("raise ImportError('libEGL.so.1: cannot open shared object file')")
    done = run(DISPLAY=":0", PYTHONPATH=f"{tmp_path}:{ROOT / 'src'}", XDG_RUNTIME_DIR=str(tmp_path))
    problem, hint = done.stderr.splitlines()
    assert problem == "tinysnitch: error: Qt does not load: libEGL.so.1: cannot open shared object file"
    assert (done.returncode, hint.partition("hint: ")[0]) == (1, "tinysnitch: ")


@pytest.mark.parametrize("variables", [{"DISPLAY": ":987"}, {"WAYLAND_DISPLAY": "none-987"}])
def test_a_screen_that_cannot_be_reached_is_an_error_as_any(variables: dict[str, str], tmp_path: Path) -> None:
    done = run("--demo", XDG_RUNTIME_DIR=str(tmp_path), **variables)
    problem, hint = done.stderr.splitlines()
    assert (done.returncode, hint.partition("hint: ")[0]) == (1, "tinysnitch: ")
    assert problem.startswith("tinysnitch: error: Qt cannot show a window here: ")


def test_the_samples_can_be_walked_through_and_left(tmp_path: Path) -> None:
    with Desktop(tmp_path / "session") as desktop:
        prompt = desktop.start_prompt("--demo", delay_s=0)
        desktop.see("curl wants to reach www.example.com")
        # past the other questions of curl; where all is slow the first one comes before keys count
        wait_until(lambda: desktop.press("Tab") or desktop.shows("sync.py wants to reach"))
        desktop.press("q")
        assert prompt.wait(timeout=WAIT_S) == 0


def test_who_waits_for_a_daemon_says_so_once(tmp_path: Path) -> None:
    with Desktop(tmp_path / "session") as desktop:
        prompt = desktop.start_prompt("--socket", str(tmp_path / "none"))
        assert prompt.stderr
        told = f"tinysnitch: no daemon listens on {tmp_path / 'none'}; trying again each second\n"
        assert prompt.stderr.readline() == told
        time.sleep(1.5)  # it has tried again by now
        assert desktop.stop(prompt) == -15
        assert prompt.stderr.read() == ""


def test_one_runs_a_session_and_ends_when_it_is_told(tmp_path: Path) -> None:
    with Desktop(tmp_path / "session") as desktop:
        first = desktop.start_prompt("--socket", str(tmp_path / "none"))
        while not list((tmp_path / "session").glob("*.lock")):
            assert first.poll() is None
        second = desktop.start_prompt("--socket", str(tmp_path / "none"))
        assert second.wait(timeout=WAIT_S) == 0
        assert second.stderr
        assert "already" in second.stderr.read()
        assert desktop.stop(first) == -15
