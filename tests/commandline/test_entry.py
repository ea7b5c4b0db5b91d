"""Ctrl-C while a command is still being imported."""

import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from tests.lab.patience import read_line
from tests.repo.tree import ROOT
from tinysnitch.commandline import entry

SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
SLOW = """
import signal
print("importing", flush=True)
input()

def main():
    print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""
BEGIN = "from tinysnitch.commandline.entry import begin; begin('slow')"
DAEMON = """
from tinysnitch.commandline import entry
begin = entry.begin
entry.begin = lambda _module: begin("slow")
entry.tinysnitchd()
"""


def start(folder: Path, disposition: signal.Handlers, code: str = BEGIN) -> subprocess.Popen[str]:
    """A command whose import has begun, and waits for a line."""
    (folder / "slow.py").write_text(SLOW)
    path = f"{folder}:{os.environ.get('PYTHONPATH', '')}"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        preexec_fn=lambda: signal.signal(signal.SIGINT, disposition),
    )
    assert read_line(process) == "importing\n"
    return process


def test_ctrl_c_while_importing_ends_it_without_a_word(tmp_path: Path) -> None:
    process = start(tmp_path, signal.SIG_DFL)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == -signal.SIGINT


def test_ctrl_c_is_the_commands_own_once_it_is_there(tmp_path: Path) -> None:
    assert start(tmp_path, signal.SIG_DFL).communicate("\n", timeout=60) == ("True\n", "")


def test_ctrl_c_that_is_ignored_stays_so(tmp_path: Path) -> None:
    process = start(tmp_path, signal.SIG_IGN)
    process.send_signal(signal.SIGINT)
    assert process.communicate("\n", timeout=60) == ("False\n", "")


def test_the_daemon_lives_on_if_it_is_told_so_early_to_read_its_rules_again(tmp_path: Path) -> None:
    process = start(tmp_path, signal.SIG_DFL, DAEMON)
    process.send_signal(signal.SIGHUP)
    assert process.communicate("\n", timeout=60) == ("True\n", "")


@pytest.mark.parametrize(
    "code",
    ["raise MemoryError", "def main():\n    raise MemoryError", "raise ImportError('libx.so: failed to map segment')"],
)
def test_want_of_memory_is_no_traceback(tmp_path: Path, code: str) -> None:
    """Too little memory by `ulimit -v`, during the imports or later."""
    (tmp_path / "slow.py").write_text(code)
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [sys.executable, "-c", BEGIN], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "tinysnitch: error: too little memory",
        "tinysnitch: hint: see `ulimit -v`, and whether this machine has any left (`free`)",
    ]


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_command_begins_here(name: str) -> None:
    module, function = SCRIPTS[name].split(":")
    assert (module, function) == ("tinysnitch.commandline.entry", name.replace("-", "_"))
    assert callable(getattr(import_module(module), function))


def test_how_a_child_ends_is_known_also_where_the_caller_did_not_care(tmp_path: Path) -> None:
    """An iptables-restore that fails, say. A process that ignores SIGCHLD hands that on to its children (signal(7))."""
    code = "import subprocess\n\ndef main():\n    print(subprocess.run(['false']).returncode)\n"
    (tmp_path / "slow.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-c", BEGIN],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"},
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


@pytest.mark.parametrize(
    ("command", "begun"),
    [
        (entry.tinysnitch, ("tinysnitch.cli.main",)),
        (entry.tinysnitch_prompt, ("tinysnitch.qt.start.main",)),
        (entry.tinysnitch_trace, ("tinysnitch.trace.command",)),
        (entry.tinysnitch_iptables_add, ("tinysnitch.daemon.startup.iptables", "add")),
        (entry.tinysnitch_iptables_remove, ("tinysnitch.daemon.startup.iptables", "remove")),
    ],
)
def test_each_command_begins_its_own_module(
    command: Callable[[], None], begun: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[tuple[str, ...]] = []
    monkeypatch.setattr(entry, "begin", lambda *words: called.append(words))
    command()
    assert called == [begun]
