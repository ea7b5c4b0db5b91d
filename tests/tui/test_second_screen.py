import asyncio
import os
import signal
from pathlib import Path

import pytest
from rich.text import Text

from tests.tui.plain_stage import Command, Person, play
from tests.tui.question_daemon import QuestionDaemon
from tests.tui.waiting import until
from tests.view.sample_prompts import connection_of, prompt_of
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.tui.second_screen import SecondScreen, has_second_screen
from tinysnitch.tui.terminal import Terminal

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


@pytest.mark.parametrize(
    ("term", "others", "has_one"),
    [
        ("xterm-256color", (), True),
        ("tmux-256color", (), True),
        ("xterm", (1,), False),  # `tinysnitch run -- COMMAND | less`
        ("xterm", (2,), False),
        ("xterm", (0,), False),
        ("linux", (), False),
        ("screen.xterm", (), False),
        ("dumb", (), False),
        ("", (), False),
    ],
)
def test_only_a_terminal_that_nobody_else_writes_to_and_with_a_second_screen_has_one(
    monkeypatch: pytest.MonkeyPatch, term: str, others: tuple[int, ...], has_one: bool
) -> None:
    monkeypatch.setattr(os, "isatty", lambda fd: fd not in others)
    assert has_second_screen({"TERM": term}) is has_one


def test_rows_that_changed_are_written_and_colours_only_where_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(Terminal, "__init__", lambda _self, _path: None)
    monkeypatch.setattr(Terminal, "write", lambda _self, text: written.append(text))
    monkeypatch.setenv("TERM", "xterm-256color")
    for no_color, word in (("", "\x1b[1;38;5;"), ("1", "\x1b[1m")):
        monkeypatch.setenv("NO_COLOR", no_color)
        screen = SecondScreen(Terminal("/dev/null"))
        screen.take()
        screen.paint([Text("one"), Text("two")])
        screen.paint([Text("one"), Text("two", "bold #1f7ae0"), Text("x" * 500)])
        screen.paint([Text("one")])
        screen.leave()
        screen.leave()
        start, first, second, third, end = written
        assert (start.startswith(ENTER), end.endswith(LEAVE), screen.is_taken) == (True, True, False)
        assert first == "\x1b[1;1H\x1b[Kone\x1b[2;1H\x1b[Ktwo"
        assert second.startswith(f"\x1b[2;1H\x1b[K{word}"), second
        assert second.endswith("x" * 500)
        assert third == "\x1b[2;1H\x1b[K\x1b[3;1H\x1b[K"
        written.clear()


def test_a_guest_asks_on_the_second_screen_while_the_command_stands_still(tmp_path: Path) -> None:
    command = Command()

    async def script(daemon: QuestionDaemon, person: Person) -> None:
        daemon.open(prompt_of(1))
        await person.see(ENTER)
        assert command.pauses == [True]
        await person.see("curl wants to reach shop.test")
        await person.see("keys do not count yet")
        await person.see("asked because")
        person.type("d")
        await person.see("*.")
        await asyncio.sleep(0.06)  # the delay itself is what must pass
        person.type("n")
        prompt_id, choice = await daemon.answers.get()
        assert (prompt_id, choice.verdict) == (1, Verdict.DENY)
        await person.see(LEAVE)
        await person.see("while this command runs: allow shop.test")
        assert command.pauses == [True, False]
        daemon.open(prompt_of(2, connection_of(name="b.test")))
        await person.see(ENTER)
        daemon.close(2, "denied: nobody answered")
        await person.see(LEAVE)
        await person.see("denied: nobody answered")
        assert command.pauses == [True, False] * 2

    play(tmp_path, script, delay_s=0.05, screen_of=command)


def test_help_list_and_editor_are_pages_of_the_same_screen(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, person: Person) -> None:
        for number, name in enumerate(("a.test", "b.test")):
            daemon.open(prompt_of(number, connection_of(name=name)))
        for key, text in (
            ("", "wants to reach a.test"),
            ("?", "any key"),
            ("x", "wants to reach a.test"),
            ("g", "2 questions of "),
            ("g", "wants to reach a.test"),
            ("e", "answer with it"),
        ):
            if key:
                await asyncio.sleep(0.06)
                person.type(key)
            await person.see(text)
            if text.startswith(("wants", "2 q")):
                await person.see("asked because")
        for key in ("\x7f", "L", "\r"):  # not as a paste
            await asyncio.sleep(0.3)
            person.type(key)
        assert (await daemon.lines.get())[1].endswith("https://shop.testL")
        await person.see("wants to reach b.test")

    play(tmp_path, script, delay_s=0.05, screen_of=Command())


def test_after_a_signal_the_screen_is_the_commands_and_it_is_asked_in_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = Command()

    async def script(daemon: QuestionDaemon, person: Person) -> None:
        daemon.open(prompt_of(1))
        await person.see("asked because")
        command.signalled()
        await person.see(LEAVE)
        await person.see("holds: for 9 minutes, while this command runs\n")
        await person.see("keys: ")
        person.type("y")
        await daemon.answers.get()
        await until(lambda: command.pauses == [True, False])
        command.signalled()  # with no question in sight it changes nothing
        assert ENTER not in person.seen

    play(tmp_path, script, delay_s=0.05, screen_of=command)


def test_ctrl_z_gives_the_first_screen_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(daemon: QuestionDaemon, person: Person) -> None:
        monkeypatch.setattr("tinysnitch.tui.plain_prompt.stop_job", lambda *_what: None)
        daemon.open(prompt_of(1))
        await person.see("asked because")
        os.kill(os.getpid(), signal.SIGTSTP)
        await person.see(LEAVE)
        await person.see(ENTER)
        await person.see("curl wants to reach shop.test")
        await person.see("asked because")

    play(tmp_path, script, delay_s=0.05, screen_of=Command())
