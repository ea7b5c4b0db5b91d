"""A real app on a pseudo-terminal that sends what no terminal should send."""

import asyncio
import os
import pty
import re
import signal
import sys
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.daemon.requests.small_handler import Comers
from tests.lab.patience import WAIT_S
from tests.lab.person import Person
from tests.tui.prompt_process import prompt_in_terminal, running_in_terminal
from tests.tui.question_daemon import question_daemon
from tests.tui.waiting import until
from tests.view.sample_prompts import prompt_of
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.tui import prompt_app
from tinysnitch.tui.prompt_app import HUNG_UP, run_prompt

# Ends with the last key that it got.
APP = """
from textual.app import App
from tinysnitch.tui.terminal_driver import TerminalDriver

class KeyApp(App):
    def on_mount(self):
        self.set_timer(0.2, lambda: self._driver.write(f"listening, {self.size.width} columns"))

    def on_key(self, event):
        self.exit(return_code=ord(event.key[0]))

app = KeyApp(driver_class=TerminalDriver)
app.run()
raise SystemExit(app.return_code)
"""


@pytest.mark.parametrize(
    "strange",
    [
        pytest.param("\udcff", id="no UTF-8"),
        pytest.param("\x1b[121;1:3u", id="a key is let go, in kitty's protocol"),
        pytest.param("\x1b[121::110;1:1u", id="a key of another layout"),
    ],
)
def test_what_cannot_be_read_is_no_key(strange: str) -> None:
    with closing(Person([sys.executable, "-c", APP])) as person:
        person.see("listening")
        person.type(strange)
        time.sleep(0.3)  # in a read of its own
        person.type("z")
        assert person.process.wait(timeout=WAIT_S) == ord("z")


def test_no_picture_stays_where_a_terminal_has_no_second_screen() -> None:
    """As GNU screen (by default) and Linux's console: what the shell printed next was amid the old keys."""
    with closing(Person([sys.executable, "-c", APP])) as person:
        person.see("listening")
        person.type("z")
        person.process.wait(timeout=WAIT_S)
        person.see("\x1b[?1049l")
        painted = person.everything.rpartition("\x1b[?1049l")[0].rpartition("listening")[2]
        assert re.sub(r"\x1b\[\?\d+[hl]|\x1b\[<u", "", painted).endswith("\x1b[H\x1b[2J")


def test_alt_and_a_key_is_not_that_key() -> None:
    with closing(Person([sys.executable, "-c", APP])) as person:
        person.see("listening")
        (flags,) = re.findall(r"\x1b\[[>=](\d+)u", person.everything)[-1:]  # as kitty's protocol has them
        person.type("\x1b[121;3;121u" if int(flags) & 16 else "\x1b[121;3u")  # as Alacritty sends Alt-y
        assert person.process.wait(timeout=WAIT_S) == ord("a")  # of `alt+y`


def test_half_a_letter_takes_the_next_key_with_it() -> None:
    with closing(Person([sys.executable, "-c", APP])) as person:
        person.see("listening")
        for key in ("\udcc3", "y", "z"):
            person.type(key)
            time.sleep(0.3)
        assert person.process.wait(timeout=WAIT_S) == ord("z")


@pytest.mark.parametrize("elsewhere", ["2>/dev/null", ">/dev/null", "2>&-", ">&-"])
def test_one_of_both_outputs_may_lead_elsewhere(elsewhere: str) -> None:
    shell = ["sh", "-c", f'stty cols 61; exec "$@" {elsewhere}', "sh"]
    with closing(Person([*shell, sys.executable, "-c", APP])) as person:
        person.see("listening, 61 columns")
        person.type("z")
        assert person.process.wait(timeout=WAIT_S) == ord("z")


@pytest.mark.parametrize(
    ("terminals", "is_shown"),
    [({0, 1, 2}, True), ({0, 1}, True), ({0, 2}, True), ({1, 2}, False), ({0}, False), (set[int](), False)],
)
def test_it_needs_a_terminal_to_read_and_one_to_write(
    monkeypatch: pytest.MonkeyPatch, terminals: set[int], is_shown: bool
) -> None:
    shown = SimpleNamespace(run=lambda: None, failure=None, return_code=7)
    monkeypatch.setattr(prompt_app, "ControlClient", lambda _path: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(prompt_app, "PromptApp", lambda _path, _delay_s: shown)
    monkeypatch.setattr(prompt_app, "claim_terminal", lambda _stream: None)
    monkeypatch.setattr(os, "isatty", lambda stream: stream in terminals)
    monkeypatch.setenv("TERM", "xterm")
    if is_shown:
        assert run_prompt("/s", plain=False) == 7
    else:
        with pytest.raises(SnitchError, match="the prompt needs a terminal") as refused:
            run_prompt("/s", plain=False)
        assert "tinysnitch asks" in refused.value.hint


@pytest.mark.slow
def test_a_terminal_that_goes_takes_a_prompt_along_that_has_nothing_to_do(tmp_path: Path) -> None:
    """The prompt does not lead its session there, so that it gets no signal."""

    async def run() -> None:
        async with question_daemon(tmp_path / "s") as daemon:
            master, slave = pty.openpty()
            async with running_in_terminal(tmp_path / "s", slave) as process:
                os.close(slave)
                await until(daemon.attached.is_set)
                os.close(master)
                assert await asyncio.wait_for(process.wait(), 60) == HUNG_UP

    asyncio.run(run())


@pytest.mark.slow
def test_who_is_stopped_unasked_asks_anew_and_puts_the_terminal_back(tmp_path: Path) -> None:
    """By SIGSTOP: Textual would begin twice, and never end."""

    async def run() -> None:
        async with question_daemon(tmp_path / "s") as daemon, prompt_in_terminal(tmp_path / "s") as prompt:
            await until(daemon.attached.is_set)
            daemon.open(prompt_of(1))
            await until(lambda: b"asked because" in prompt.shown)
            prompt.process.send_signal(signal.SIGSTOP)
            await until(lambda: ") T " in Path(f"/proc/{prompt.process.pid}/stat").read_text())
            prompt.type(b"n")  # meant for the program that had the terminal meanwhile
            prompt.screen.clear()
            prompt.process.send_signal(signal.SIGCONT)
            await until(lambda: b"wants to reach shop.test" in prompt.shown)
            await until(lambda: b"asked because" in prompt.shown)  # keys count anew
            prompt.type(b"y")
            assert (await asyncio.wait_for(daemon.answers.get(), 60))[1].verdict is Verdict.ALLOW
            prompt.type(b"q")
            assert await asyncio.wait_for(prompt.process.wait(), 60) == 0
            assert prompt.is_put_back()

    asyncio.run(run())


@pytest.mark.slow
def test_a_prompt_whose_daemon_takes_it_no_more_says_why_to_the_shell(tmp_path: Path) -> None:
    async def run() -> None:
        async with question_daemon(tmp_path / "s") as daemon, prompt_in_terminal(tmp_path / "s") as prompt:
            await until(daemon.attached.is_set)
            await daemon.server.close()
            refusals = [None] * 99  # who writes just as the daemon hangs up does not read why, and comes again
            async with question_daemon(tmp_path / "s", Comers(*refusals)):
                assert await asyncio.wait_for(prompt.process.wait(), 60) == 4
            await until(lambda: b"may not control tinysnitch" in prompt.screen)

    asyncio.run(run())


@pytest.mark.slow
def test_the_terminal_reports_clicks_no_movements_and_at_the_end_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with question_daemon(tmp_path / "s") as daemon, prompt_in_terminal(tmp_path / "s") as prompt:
            await until(daemon.attached.is_set)
            daemon.open(prompt_of(1))
            await until(lambda: b"asked because" in prompt.shown)
            modes = re.findall(rb"\x1b\[\?(10[0-9]+)h", prompt.screen)
            assert {b"1000", b"1006"} <= set(modes) <= {b"1000", b"1004", b"1006", b"1049"}
            for row in range(24):  # each row is clicked in its third column, where one has the sign of `y`
                prompt.type(b"\x1b[<0;3;%dM\x1b[<0;3;%dm" % (row, row))
                await asyncio.sleep(0.02)
            assert (await asyncio.wait_for(daemon.answers.get(), 60))[1].verdict is Verdict.ALLOW
            prompt.type(b"q")
            await asyncio.wait_for(prompt.process.wait(), 60)
            assert prompt.screen.rindex(b"\x1b[?1000l") > prompt.screen.rindex(b"\x1b[?1000h")

    asyncio.run(run())
