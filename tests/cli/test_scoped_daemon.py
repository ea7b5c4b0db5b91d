"""A script stands for tinysnitchd: what it says, and how it ends. The real one is in tests/lab/test_run.py."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.lab.patience import read_line
from tinysnitch.cli import scoped_daemon
from tinysnitch.cli.scoped_daemon import FirewallNotStarted, ScopedDaemon, find_daemon
from tinysnitch.core.model.errors import SnitchError

READY = '{"event":"ready","time":"t","pid":1,"mode":"bpf","netns":1,"rules":0,"socket":"s","cgroup":"/c"}'
BAD_RULES = '{"event":"rules","time":"t","loaded":0,"errors":["r:1:1: what?"]}'
CONNECTION = (
    '{"event":"connection","time":"t","verdict":"allow","reason":"","rule":null,"cached":false,'
    '"direction":"outbound","protocol":"tcp","local_address":"10.0.0.2","local_port":1,"remote_address":"10.0.0.1",'
    '"remote_port":80,"name":null,"pid":1,"uid":0,"program":"/bin/x","args":[],"parents":[],"attribution":"bpf"}'
)
ASK = CONNECTION.replace('"connection"', '"ask","id":1', 1).replace('"allow"', '"ask"', 1)


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "tinysnitchd"
    path.touch(0o755)
    monkeypatch.setattr(scoped_daemon, "find_daemon", lambda: str(path))
    return path


def follow(said: list[str]) -> ScopedDaemon:
    """The daemon after it was started, followed and stopped."""

    async def play() -> ScopedDaemon:
        ended = asyncio.Event()

        def complain(error: str, _hint: str) -> None:
            said.append(error)
            if "ended" in error:
                ended.set()

        daemon = await ScopedDaemon.start([])
        said.append((await daemon.wait_ready()).cgroup)
        daemon.follow(complain)
        await asyncio.wait_for(ended.wait(), 60)
        await daemon.stop()
        return daemon

    return asyncio.run(play())


def test_what_it_logs_is_collected_and_its_end_is_told(script: Path) -> None:
    script.write_text(f"#!/bin/sh\ncat <<'END'\nno line\n{READY}\n{CONNECTION}\n{ASK}\n{BAD_RULES}\nEND\n")
    said: list[str] = []
    assert follow(said).summary.lines() == [
        "allowed tcp 10.0.0.1:80 by /bin/x",
        "not answered tcp 10.0.0.1:80 by /bin/x",
    ]
    assert said == ["/c", "r:1:1: what?", "the firewall ended before the command"]


@pytest.mark.parametrize(
    ("end", "exit_code", "hint"),
    [("exit 4", 4, "said why above"), ("exit 0", 1, "said why above"), ("kill -9 $$", 1, "killed by signal 9")],
)
def test_one_that_does_not_start_passes_its_exit_code_on(script: Path, end: str, exit_code: int, hint: str) -> None:
    script.write_text(f"#!/bin/sh\n{end}\n")

    async def play() -> None:
        daemon = await ScopedDaemon.start([])
        try:
            await daemon.wait_ready()
        finally:
            await daemon.stop()

    with pytest.raises(FirewallNotStarted) as caught:
        asyncio.run(play())
    assert caught.value.exit_code == exit_code
    assert hint in caught.value.hint


SAY_READY = f"trap '' TERM; echo '{READY}'"


@pytest.mark.parametrize(
    ("last_words", "is_cleaned"),
    [("exit 1", False), ("kill -9 $$", True), (f"{SAY_READY}; exit 1", True), (f"{SAY_READY}; exit 0", False)],
)
def test_what_it_may_have_left_is_taken_away(script: Path, last_words: str, is_cleaned: bool) -> None:
    cleaned = script.parent / "cleaned"
    alone = "read _pid _name _state _parent _group session _rest </proc/$$/stat; [ $session = $$ ] || exit 9"
    begin = f"case $1 in --remove-run) echo $2 >{cleaned}; exit;; esac; echo $$ >{script.parent}/pid"
    script.write_text(f"#!/bin/sh\n{alone}\n{begin}\n{last_words}\n")  # Ctrl-C ends neither

    async def play() -> None:
        daemon = await ScopedDaemon.start([])
        with suppress(FirewallNotStarted):
            await daemon.wait_ready()
        await daemon.stop()

    asyncio.run(play())
    assert cleaned.exists() == is_cleaned
    if is_cleaned:
        assert cleaned.read_text() == (script.parent / "pid").read_text()


def wait_for_sigterm(first: str, last: str) -> str:
    """A script that prints `first`, and `last` on SIGTERM, which is blocked when it starts."""
    wait = "import signal; signal.sigwait({signal.SIGTERM})"
    # `#!` takes no path with blanks and no long one (execve(2)): sh runs the second line, which is a string to Python.
    first_lines = f"#!/bin/sh\n'''exec' '{sys.executable}' \"$0\"\n' '''\n"
    return f"{first_lines}print({first!r}, flush=True)\n{wait}\nprint({last!r})\n"


def test_it_is_stopped_by_sigterm_and_its_last_lines_count(script: Path) -> None:
    script.write_text(wait_for_sigterm(READY, CONNECTION))

    async def play() -> ScopedDaemon:
        daemon = await ScopedDaemon.start([])
        await daemon.wait_ready()
        daemon.follow(lambda error, _hint: pytest.fail(error))
        await daemon.stop()
        return daemon

    assert asyncio.run(play()).summary.lines() == ["allowed tcp 10.0.0.1:80 by /bin/x"]


def test_one_that_is_stopped_before_it_is_ready_may_say_much(script: Path) -> None:
    """The daemon prints more than fits into a pipe that nobody reads."""
    script.write_text(wait_for_sigterm("no line", "x" * (4 << 20)))

    async def play() -> None:
        daemon = await ScopedDaemon.start([])
        await asyncio.wait_for(daemon.stop(), 60)

    asyncio.run(play())


STARTER = """
import asyncio, sys
from tinysnitch.cli import scoped_daemon

async def start():
    await (await scoped_daemon.ScopedDaemon.start([])).wait_ready()
    print("ready", flush=True)
    input()

scoped_daemon.find_daemon = lambda: sys.argv[1]
asyncio.run(start())
"""


def test_it_ends_when_its_starter_is_killed(script: Path) -> None:
    """Daemon and command hold the pipe of standard error: once it ends, both are gone."""
    script.write_text(wait_for_sigterm(READY, ""))
    command = [sys.executable, "-c", STARTER, str(script)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env={"PYTHONPATH": os.pathsep.join(sys.path)}, **pipes) as starter:
        assert read_line(starter) == "ready\n"
        starter.send_signal(signal.SIGKILL)
        starter.communicate(timeout=60)


def test_where_the_daemon_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    beside = tmp_path / "bin"
    beside.mkdir()
    monkeypatch.setattr(sys, "executable", str(beside / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SnitchError, match="not installed"):
        find_daemon()
    (tmp_path / "tinysnitchd").touch(0o755)
    assert find_daemon() == str(tmp_path / "tinysnitchd")
    (beside / "tinysnitchd").touch(0o755)
    assert find_daemon() == str(beside / "tinysnitchd")
