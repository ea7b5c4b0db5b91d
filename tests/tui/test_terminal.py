import asyncio
import io
import os
import pty
import shlex
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.patience import wait_until
from tests.tui.plain_stage import Person
from tests.tui.question_daemon import question_daemon
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.tui.plain_prompt import run_plain_prompt
from tinysnitch.tui.terminal import Terminal, takes_output


@pytest.fixture
def pseudo_terminal() -> Iterator[tuple[int, str]]:
    master, slave = pty.openpty()
    yield master, os.ttyname(slave)
    os.close(master)
    os.close(slave)


def settings_of(terminal: Terminal) -> list[Any]:
    return termios.tcgetattr(terminal.fd)


def test_keys_come_one_by_one_while_it_is_held(pseudo_terminal: tuple[int, str]) -> None:
    master, path = pseudo_terminal
    with Terminal(path) as terminal:
        before = settings_of(terminal)
        terminal.hold()
        os.write(master, b"y")
        assert terminal.read() == b"y"
        terminal.release()
        terminal.release()
        assert settings_of(terminal) == before


def hold_and_fail(path: str) -> None:
    with Terminal(path) as terminal:
        before = settings_of(terminal)
        terminal.hold()
        assert settings_of(terminal) != before
        raise ZeroDivisionError


def test_settings_are_put_back_after_a_failure(pseudo_terminal: tuple[int, str]) -> None:
    _, path = pseudo_terminal
    with Terminal(path) as other:
        before = settings_of(other)
        with pytest.raises(ZeroDivisionError):
            hold_and_fail(path)
        assert settings_of(other) == before


def test_what_was_typed_before_is_thrown_away(pseudo_terminal: tuple[int, str]) -> None:
    master, path = pseudo_terminal
    with Terminal(path) as terminal:
        os.write(master, b"yyyy\n")
        terminal.hold()
        os.write(master, b"yyyy")
        terminal.flush_input()
        os.write(master, b"n")
        assert terminal.read() == b"n"


def test_lines_reach_the_terminal_whole(pseudo_terminal: tuple[int, str]) -> None:
    master, path = pseudo_terminal
    with Terminal(path) as terminal:
        terminal.write_lines(["größe", "\udc80"])
        assert os.read(master, 100).decode() == "größe\r\n\\udc80\r\n"


def test_a_terminal_of_bytes_is_sent_no_bytes_that_steer_it(
    pseudo_terminal: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To a terminal of 8 bits, bytes 0x80 to 0x9f of UTF-8 are controls: 0x9b begins a sequence (ECMA-48)."""
    monkeypatch.setattr("sys.__stderr__", io.TextIOWrapper(io.BytesIO(), "latin-1"))
    master, path = pseudo_terminal
    with Terminal(path) as terminal:
        terminal.write_lines(["größe", "\xdb2J …", "中"])
        assert os.read(master, 100) == "größe\r\n\xdb2J ~\r\n\\u4e2d\r\n".encode("latin-1")


def test_a_terminal_that_is_gone_reads_as_empty() -> None:
    master, slave = pty.openpty()
    with Terminal(os.ttyname(slave)) as terminal:
        terminal.hold()
        os.close(master)
        os.close(slave)
        assert terminal.read() == b""
        terminal.write_lines(["lost"])
        terminal.flush_input()


ORPHAN = """
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.tui.terminal import Terminal, takes_output
try:
    Terminal("/dev/tty").hold()
except SnitchError as error:
    print(error, flush=True)
"""


def test_in_a_background_that_nobody_ends_it_is_said(pseudo_terminal: tuple[int, str], tmp_path: Path) -> None:
    """A job whose shell is gone is not stopped (SIGTTOU), but refused (tty_check_change())."""
    (tmp_path / "orphan.py").write_text(ORPHAN)
    said = tmp_path / "said"
    job = f"set -m; ({shlex.join([sys.executable, str(tmp_path / 'orphan.py')])} >{said} 2>&1 &); read -rt 20 end"
    with open(pseudo_terminal[1], "r+b", buffering=0) as slave:
        shell = subprocess.Popen(["setsid", "--ctty", "bash", "-c", job], stdin=slave, stdout=slave, stderr=slave)
    wait_until(lambda: said.exists() and said.read_text().endswith("\n"))
    os.write(pseudo_terminal[0], b"\n")
    shell.wait()
    assert said.read_text() == "the terminal belongs to another job: Input/output error\n"


STOPPED = """
import os, signal
from tinysnitch.tui.terminal import stop_job
signal.signal(signal.SIGTERM, lambda *_: print("handled", flush=True))
stop_job(os.getpid(), signal.SIGTERM)
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_who_is_killed_while_stopped_ends_and_who_is_continued_has_its_handlers_again() -> None:
    """With its own handler it would first restore the terminal, and be stopped for that in the background."""
    for signals, said, status in (([signal.SIGTERM], b"", -signal.SIGTERM), ([], b"handled\n", 0)):
        command = [sys.executable, "-c", STOPPED]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, process_group=0)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        for number in (*signals, signal.SIGCONT):
            child.send_signal(number)
        assert (child.communicate(timeout=60)[0], child.returncode) == (said, status)


def test_a_terminal_whose_output_is_stopped_takes_none(pseudo_terminal: tuple[int, str]) -> None:
    with open(pseudo_terminal[1], "r+b", buffering=0) as slave:
        for flow, takes in ((termios.TCOOFF, False), (termios.TCOON, True)):
            termios.tcflow(slave, flow)
            assert takes_output(slave.fileno()) is takes


def test_what_is_no_terminal_is_said(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for path in (file, tmp_path / "none"):
        with pytest.raises(SnitchError, match="no terminal at"):
            Terminal(str(path))


def test_a_plain_prompt_whose_terminal_goes_ends(tmp_path: Path) -> None:
    async def run() -> int:
        async with question_daemon(tmp_path / "s"):
            person = Person()
            asking = asyncio.create_task(run_plain_prompt(str(tmp_path / "s"), person.tty_path))
            await person.see("no questions\n")
            person.close()
            return await asyncio.wait_for(asking, 60)

    assert asyncio.run(run()) == 0
