import asyncio
import itertools
import os
import pty
import re
import termios
import time
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from textual.events import AppFocus, Key, Paste
from textual.pilot import Pilot

from tests.daemon.requests.small_handler import Comers
from tests.tui.app_stage import play, screen_of, see, until_ready
from tests.tui.prompt_process import prompt_in_terminal, running_in_terminal
from tests.tui.question_daemon import QuestionDaemon, question_daemon
from tests.tui.waiting import SCRIPT_S, until
from tests.view.sample_decisions import line_of
from tests.view.sample_prompts import CURL, connection_of, prompt_of
from tinysnitch.core.model.asking_mode import ASKING, begin_mode
from tinysnitch.core.model.errors import DaemonNotRunning, NotPermitted
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice, Lifetime, RemoteScope
from tinysnitch.kernel.proc import procfs
from tinysnitch.kernel.system.clock import read_instant
from tinysnitch.tui import daemon_link, prompt_app
from tinysnitch.tui.prompt_app import PromptApp, run_prompt
from tinysnitch.view.answer_notice import ASKING_AGAIN
from tinysnitch.view.key_guard import PASTED_S
from tinysnitch.view.prompt_events import KeyPressed


def test_keys_answer_the_question_on_the_screen(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        await see(app, "no questions")
        daemon.open(prompt_of(1))
        await until_ready(app)
        await pilot.press("f", "d", "p", "j")
        await see(app, "allow *.shop.test - tcp /usr/bin/curl")
        await pilot.press("n")
        prompt_id, choice = await daemon.answers.get()
        assert (prompt_id, choice.verdict, choice.lifetime) == (1, Verdict.DENY, Lifetime.FOREVER)
        assert (choice.remote, choice.any_port, choice.any_args) == (RemoteScope.DOMAIN, True, True)
        await see(app, "no questions")

    play(tmp_path / "s", script)


def test_in_a_suspend_the_time_of_a_question_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boot = time.clock_gettime

    async def script(daemon: QuestionDaemon, app: PromptApp, _pilot: Pilot[None]) -> None:
        daemon.open(prompt_of(1))
        await until_ready(app)
        monkeypatch.setattr(time, "clock_gettime", lambda clock: boot(clock) + 3600)
        await see(app, " 0 s, then deny")

    play(tmp_path / "s", script)


def test_the_last_decisions_stand_where_no_question_is_and_a_key_makes_a_rule(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        await until(lambda: daemon.clients.followers)
        for line in (line_of(connection_of(name="old.test")), line_of(rule="deny shop.test - -")):
            daemon.tell(line)
        await see(app, "deny shop.test - -")
        await pilot.press("y", "x")
        assert daemon.changes == [], "none is selected"
        await pilot.press("down")
        await until(lambda: app.state.guard.is_ready(time.monotonic()))
        await pilot.press("x")
        await see(app, "taken back: deny shop.test - -")
        await pilot.press("down", "y")
        await see(app, "added: allow old.test 443 tcp /usr/bin/curl")
        assert daemon.changes == [
            ("removed", "deny shop.test - -"),
            ("added", "allow old.test 443 tcp /usr/bin/curl"),
        ]
        daemon.open(prompt_of(1))
        await see(app, "curl wants to reach shop.test")
        assert daemon.answers.empty()

    play(tmp_path / "s", script)


def test_keys_typed_while_the_prompt_was_stopped_do_nothing(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        daemon.open(prompt_of(1))
        await until(lambda: app.state.next_change_s() is not None)
        app.state.guard._ready_s -= 2 * SCRIPT_S  # the delay ended long ago, and our process did not run since
        await pilot.press("y")
        await see(app, "keys do not count yet")
        assert daemon.answers.empty()

    play(tmp_path / "s", script, delay_s=SCRIPT_S)


def test_tab_walks_both_ways(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        daemon.open(prompt_of(1))
        daemon.open(prompt_of(2, connection_of(name="b.test")))
        await see(app, "question 1 of 2")
        for key, name in (("tab", "b.test"), ("shift+tab", "shop.test")):
            await pilot.press(key)
            await see(app, f"curl wants to reach {name}")

    play(tmp_path / "s", script)


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(_socket_path: str, *, delay_s: float) -> int:
        return 7

    monkeypatch.setattr(prompt_app, "ControlClient", lambda _path: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(prompt_app, "run_plain_prompt", run)
    monkeypatch.setenv("TERM", "dumb")
    assert run_prompt("/s", plain=False) == 7


def test_escape_puts_aside_and_the_countdown_sleeps_without_a_question(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        daemon.open(prompt_of(1))
        await until_ready(app)
        assert (ticker := app._ticker) is not None
        await pilot.press("escape")
        await see(app, "1 question put aside")
        assert (app._ticker, ticker._task) == (None, None)  # it ticks no more

    play(tmp_path / "s", script)


def test_what_is_left_of_a_pause_counts_down_without_a_question(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, _pilot: Pilot[None]) -> None:
        daemon.clients.change_mode(begin_mode(Verdict.ALLOW, 100.0, read_instant()))
        await see(app, "! paused, 100 s left: what no rule covers passes")
        await see(app, "! paused, 98 s left: ")
        daemon.clients.change_mode(ASKING)
        await see(app, ASKING_AGAIN)
        assert "paused" not in screen_of(app)
        assert app._ticker is None

    play(tmp_path / "s", script)


def test_who_answers_many_and_leaves_at_once_has_answered_all(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        for number in range(40):
            daemon.open(prompt_of(number, connection_of(name=f"n{number}.test")))
        await see(app, "all 40 together")
        await until_ready(app)
        await pilot.press("g")
        await see(app, "the 40 questions of curl")
        while app.state.group and app.state.group.note_painted().unseen:
            await until_ready(app)
            await pilot.press("pagedown")
        await until_ready(app)
        for key in "yq":
            app.post_message(Key(key, key))
        await until(lambda: not app.is_running)
        assert daemon.answers.qsize() == 40

    play(tmp_path / "s", script)


def test_the_rule_is_edited_and_checked_as_it_is_typed(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        daemon.open(prompt_of(1))
        await until_ready(app)
        await pilot.press("f", "j", "e")
        await see(app, "Esc back")
        await pilot.press("home", "x")
        await see(app, "column 1: not a verdict")
        await pilot.press("backspace", *["delete"] * 5, *"deny", "end", "space")
        app.post_message(Paste("--head"))
        await pilot.press("/")  # whose key has another name than its character
        await see(app, "--head/")
        await asyncio.sleep(PASTED_S)  # as no paste would
        await pilot.press("enter")
        assert await daemon.lines.get() == (1, "deny shop.test 443 tcp /usr/bin/curl --head/")

    play(tmp_path / "s", script)


def test_the_time_in_an_edited_rule_is_of_the_clock_as_it_is_now(tmp_path: Path) -> None:
    """The wall clock is set while a question is open: by years, on a machine without a battery clock."""

    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        daemon.open(prompt_of(1))  # in 2023, as its daemon believed
        await until_ready(app)
        await pilot.press("e")
        await see(app, "Enter answer with it")
        await until_ready(app)
        await pilot.press("enter")
        assert int((await daemon.lines.get())[1].partition("until=")[2][:4]) > 2023

    play(tmp_path / "s", script)


def test_a_paste_that_the_terminal_does_not_mark_changes_and_answers_nothing(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        daemon.open(prompt_of(1))
        await until_ready(app)
        ready_s = app.state.guard.ready_s
        for letter in "pony":
            app.post_message(Key(letter, letter))
        await until(lambda: app.state.guard.ready_s != ready_s)
        await until_ready(app)
        await pilot.press("y")
        assert await daemon.answers.get() == (1, Choice(verdict=Verdict.ALLOW))

    play(tmp_path / "s", script)


def test_a_key_that_waits_for_what_comes_with_it_draws_nothing(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, _pilot: Pilot[None]) -> None:
        daemon.open(prompt_of(1))
        await until_ready(app)
        await until(lambda: not app._is_drawing_due)
        app.on_key(Key("y", "y"))
        assert (app._piece.holds_keys, app._is_drawing_due) == (True, False)

    play(tmp_path / "s", script)


def test_ctrl_c_is_a_key_that_leaves(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        await pilot.press("ctrl+c")
        await until(lambda: not app.is_running)

    play(tmp_path / "s", script)


def test_that_the_program_has_ended_is_seen_at_the_next_tick(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        child = await asyncio.create_subprocess_exec("sleep", "600")
        status = procfs.read_stat(child.pid)
        assert status
        process = msgspec.structs.replace(CURL, pid=child.pid, started_ns=status.started_ns)
        daemon.open(prompt_of(1, connection_of(process)))
        await see(app, "/usr/bin/curl  ")
        child.kill()
        await child.wait()
        await see(app, "/usr/bin/curl (has ended)")

    play(tmp_path / "s", script)


def test_no_key_counts_before_the_question_is_on_the_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        await see(app, "no questions")
        with monkeypatch.context() as busy:  # as if the process were busy
            busy.setattr(app._widget, "redraw", lambda: None)
            daemon.open(prompt_of(1))
            await until(lambda: app.state.selected)
            app._advance(KeyPressed("n"), time.monotonic() + 9)
        app._widget.redraw()
        await until(app.state.next_change_s)
        painted_s = app.state.next_change_s()
        app.post_message(AppFocus())  # the terminal got the focus
        await until(lambda: app.state.next_change_s() not in (None, painted_s))
        await until_ready(app)
        await pilot.press("y")
        assert (await daemon.answers.get())[1].verdict is Verdict.ALLOW

    play(tmp_path / "s", script)


def test_a_daemon_that_restarts_and_takes_us_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon_link, "RETRY_S", 0.01)

    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        daemon.open(prompt_of(1))
        await see(app, "curl wants to reach shop.test")
        await daemon.server.close()
        await see(app, "waiting for the daemon")
        async with question_daemon(tmp_path / "s") as other:
            other.open(prompt_of(1))
            await see(app, "curl wants to reach shop.test")
        async with question_daemon(tmp_path / "s", Comers(None)):  # by now the user may no longer be permitted
            await until(lambda: isinstance(app.failure, NotPermitted) and not app.is_running)

    play(tmp_path / "s", script)


@pytest.mark.parametrize("plain", [True, False])
def test_without_a_daemon_there_is_no_prompt(tmp_path: Path, plain: bool) -> None:
    with pytest.raises(DaemonNotRunning):
        run_prompt(str(tmp_path / "s"), plain)


NO_COLORS = {b"0", b"1", b"2", b"7", b"39", b"49"}  # bold, dim, reverse, the terminal's own (ECMA-48 8.3.117)


@pytest.mark.slow
def test_in_a_terminal_it_draws_takes_a_key_and_puts_the_terminal_back_on_a_signal(tmp_path: Path) -> None:
    async def run() -> None:
        path = tmp_path / "s"
        async with question_daemon(path) as daemon, prompt_in_terminal(path) as prompt:
            await until(daemon.attached.is_set)
            daemon.open(prompt_of(1))
            await until(lambda: b"wants to reach shop.test" in prompt.shown)
            codes = re.findall(rb"\x1b\[([0-9;]*)m", prompt.screen)
            assert {code for one in codes for code in one.split(b";")} <= NO_COLORS
            await until(lambda: b"asked because" in prompt.shown)  # keys count
            prompt.type(b"y")
            assert (await asyncio.wait_for(daemon.answers.get(), 60))[1].verdict is Verdict.ALLOW
            prompt.process.terminate()
            assert await asyncio.wait_for(prompt.process.wait(), 60) == 143
            assert prompt.is_put_back()

    asyncio.run(run())


@pytest.mark.slow
def test_a_terminal_without_unicode_gets_signs_of_ascii_and_whole_rows(tmp_path: Path) -> None:
    connection = connection_of(
        msgspec.structs.replace(CURL, program=f"/home/{'中' * 10}/evil"), name=f"{'x' * 99}.test"
    )

    async def run() -> None:
        path, locale = tmp_path / "s", {"PYTHONUTF8": "0", "LC_ALL": "C"}
        async with question_daemon(path) as daemon, prompt_in_terminal(path, **locale) as prompt:
            await until(daemon.attached.is_set)
            daemon.open(prompt_of(1, connection))
            await until(lambda: b" s, then deny" in prompt.screen)
            assert b"/home/" + b"?" * 10 + b"/evil" in prompt.screen
            assert b"x~x" in prompt.screen  # where the name is cut
            assert b"\\u" not in prompt.screen
            prompt.process.terminate()
            await asyncio.wait_for(prompt.process.wait(), 60)

    asyncio.run(run())


@pytest.mark.slow
def test_a_terminal_that_took_nothing_more_and_went_takes_the_prompt_along(tmp_path: Path) -> None:
    async def run() -> None:
        async with question_daemon(tmp_path / "s") as daemon:
            master, slave = pty.openpty()
            termios.tcsetwinsize(slave, (24, 80))
            async with running_in_terminal(tmp_path / "s", slave) as process:
                os.close(slave)
                await until(daemon.attached.is_set)
                for number in itertools.count(1):  # nobody reads
                    if is_writing(process.pid):
                        break
                    daemon.open(prompt_of(number, connection_of(name=f"n{number}.test")))
                    await asyncio.sleep(0.02)
                os.write(master, b"q")
                await asyncio.sleep(0.5)  # time to leave, which it cannot use
                assert process.returncode is None
                os.close(master)
                # 129: it still wrote, and was told of the end; 0: it left at the key, once the write had failed
                assert await asyncio.wait_for(process.wait(), 60) in (0, 129)

    asyncio.run(run())


def is_writing(pid: int) -> bool:
    """Whether a thread waits for room in its terminal: n_tty_write() in drivers/tty/n_tty.c sleeps by wait_woken()."""
    return any("wait_woken" in path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/wchan"))
