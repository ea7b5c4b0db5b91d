import asyncio
import os
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.patience import WAIT_S
from tests.tui.plain_stage import Person, play
from tests.tui.question_daemon import QuestionDaemon
from tests.view.sample_prompts import connection_of, prompt_of
from tinysnitch.tui import plain_prompt
from tinysnitch.tui.edited_line import render_edit
from tinysnitch.view.edit_view import present_edit
from tinysnitch.view.line_edit import LineEdit
from tinysnitch.view.text import cell_width


async def begin_edit(daemon: QuestionDaemon, person: Person) -> None:
    daemon.open(prompt_of(1))
    await person.see("keys: ")
    person.type("fje")
    await person.see("\rallow shop.test 443 tcp /usr/bin/curl")


def test_what_is_typed_at_the_end_is_written_alone() -> None:
    assert render_edit(present_edit(LineEdit("ab", 2), 0.0), present_edit(LineEdit("abc", 3), 0.0), 80) == "c"


@pytest.mark.parametrize(
    ("old", "line", "cursor", "written"),
    [
        ("abc", "abc", 1, "\rabc     \ra"),
        ("abc", "ab", 2, "\rab      \rab"),
        ("abcdefg", "abcdefgh", 8, "\r…cdefgh \r…cdefgh"),
    ],
)
def test_any_other_change_writes_the_row_again_and_puts_the_cursor_back(
    old: str, line: str, cursor: int, written: str
) -> None:
    before = present_edit(LineEdit(old, len(old)), 0.0)
    assert render_edit(before, present_edit(LineEdit(line, cursor), 0.0), 9) == written


def test_what_is_cut_off_is_marked_at_its_end() -> None:
    line = "abcdefghijklmnop"
    shown = [render_edit(None, present_edit(LineEdit(line, cursor), 0.0), 9) for cursor in (16, 0, 8)]
    assert shown == ["\r…klmnop \r…klmnop", "\rabcdefg…\r", "\r…defghi…\r…defgh"]


@given(st.text(max_size=200), st.integers(0, 200), st.integers(1, 100))
def test_the_row_is_never_wider_than_the_terminal(text: str, cursor: int, width: int) -> None:
    written = render_edit(None, present_edit(LineEdit(text, min(cursor, len(text))), 0.0), width)
    rows = written.split("\r")
    assert max(map(cell_width, rows)) <= max(4, width - 1)
    assert rows[1].startswith(rows[2])


def test_the_rule_is_edited_in_its_row(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, person: Person) -> None:
        daemon.open(prompt_of(1))
        await person.see("keys: ")
        person.type("fje")
        await person.see("edit the rule; Enter answers with it, Esc goes back\nrule: allow shop.test 443")
        await person.see("holds: forever, in the rules file\n")
        await person.see("allow shop.test 443 tcp /usr/bin/curl")
        person.type("\x1b[Hx")
        await person.see("xallow")
        await asyncio.sleep(0.06)  # the delay itself is what must pass
        person.type("\r")
        await person.see("column 1: not a verdict\n")
        person.type("\x08\x1b[F -4")
        await person.see("curl -4")
        await asyncio.sleep(0.06)
        person.type("\r")
        assert await daemon.lines.get() == (1, "allow shop.test 443 tcp /usr/bin/curl -4")
        await person.see("no questions")
        person.type("q")

    assert play(tmp_path, script, delay_s=0.05) == 0


def test_an_editor_whose_question_is_gone_waits_for_escape(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, person: Person) -> None:
        daemon.open(prompt_of(1))
        daemon.open(prompt_of(2, connection_of(name="b.test")))
        await person.see("keys: ")
        person.type("e")
        await person.see("edit the rule")
        daemon.close(1)
        await person.see("is gone; others wait; Esc goes on\n")
        person.type("yn\r")
        person.type("\x1b")
        await person.see("curl wants to reach b.test")
        assert daemon.answers.empty()
        await person.see("keys: ")
        person.type("q")

    assert play(tmp_path, script, delay_s=0.05) == 0


@pytest.mark.parametrize("is_guest", [False, True])
def test_after_ctrl_z_the_line_stands_in_its_row_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_guest: bool
) -> None:
    monkeypatch.setattr(plain_prompt, "stop_job", lambda *_: None)

    async def script(daemon: QuestionDaemon, person: Person) -> None:
        await begin_edit(daemon, person)
        os.kill(os.getpid(), signal.SIGTSTP)
        await person.see("holds: forever, in the rules file\n")
        await person.see("\rallow shop.test 443 tcp /usr/bin/curl")
        person.type("\x1b")
        await person.see("curl wants to reach shop.test")
        await person.see("keys: ")  # what was typed before is thrown away then
        person.type("q")

    assert play(tmp_path, script, delay_s=0.05, is_guest=is_guest) == 0


def test_a_key_that_comes_in_pieces_is_that_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As over a serial line: a lone Esc would leave the editor, and the rest would be keys for the question."""
    monkeypatch.setattr(plain_prompt, "REST_S", WAIT_S)  # where all is slow a piece may come later than it was sent

    async def script(daemon: QuestionDaemon, person: Person) -> None:
        await begin_edit(daemon, person)
        for byte in b"\x1b[H\xc3\xa9\x1bOFx":
            os.write(person.master, bytes((byte,)))
            await asyncio.sleep(0.002)
        await person.see("\réallow shop.test 443 tcp /usr/bin/curl")
        await person.see("x")
        monkeypatch.setattr(plain_prompt, "REST_S", 0.05)
        person.type("\x1b")
        await person.see("curl wants to reach shop.test")
        await person.see("keys: ")  # what was typed before is thrown away then
        person.type("q")

    assert play(tmp_path, script, delay_s=0.05) == 0


def test_the_time_in_an_edited_rule_is_of_the_clock_as_it_is_now(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, person: Person) -> None:
        daemon.open(prompt_of(1))  # in 2023, as its daemon believed
        await person.see("keys: ")
        person.type("e")
        await person.see("holds: until the time in the line\n")
        person.type("\x1b")
        await person.see("curl wants to reach shop.test")
        await person.see("keys: ")  # what was typed before is thrown away then
        person.type("q")

    assert play(tmp_path, script, delay_s=0.05) == 0
