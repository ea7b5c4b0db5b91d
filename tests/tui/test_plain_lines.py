""""""

import asyncio
import os
import signal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.patience import WAIT_S
from tests.tui.plain_stage import Person, play
from tests.tui.question_daemon import QuestionDaemon
from tests.view.painted_state import PaintedState
from tests.view.sample_prompts import connection_of, learned_prompt_of, prompt_of
from tinysnitch.tui import plain_prompt
from tinysnitch.tui.plain_lines import (
    begin_edit_lines,
    fact_lines,
    help_lines,
    question_lines,
    ready_line,
    render_edit,
    rule_lines,
)
from tinysnitch.view.edit_view import present_edit
from tinysnitch.view.escape import cell_width
from tinysnitch.view.help_view import HelpRow
from tinysnitch.view.line_edit import LineEdit
from tinysnitch.view.prompt_events import KeyPressed, QuestionOpened
from tinysnitch.view.prompt_view import PromptView, present_prompt
from tinysnitch.view.span import Line, Span


def sample_view() -> PromptView:
    state = PaintedState()
    state.handle(QuestionOpened(prompt_of(1)), 0.0)
    return present_prompt(state, 0.0)


def test_a_question_is_told_line_by_line() -> None:
    assert question_lines(sample_view()) == [
        "",
        "one question: curl wants to reach shop.test",
        "path: /usr/bin/curl",
        "arguments: -s https://shop.test/",
        "parents: /usr/bin/bash, /usr/sbin/sshd, /usr/lib/systemd/systemd",
        "user: uid 1000",
        "belongs to: unit:ssh.service",
        "name: shop.test",
        "address: 10.0.0.9",
        "port: 443 https, tcp",
        "direction: outbound",
        "asked because no rule matches; 60 seconds left, then it is denied",
        "rule: allow shop.test 443 tcp /usr/bin/curl -s https://shop.test/, for 9 minutes",
        "holds: for 9 minutes",
    ]


def test_what_is_still_looked_up_is_not_told() -> None:
    lines = (Line("path", (Span("/a"),)), Line("package", (Span("…"),), is_pending=True))
    assert fact_lines(PromptView(sentence=(), is_question=True, who=lines)) == ["path: /a"]


def test_the_keys_to_begin_with_are_said() -> None:
    assert ready_line(sample_view()) == "keys: y allow, n deny, h help"


def test_an_editor_begins_with_the_whole_line_and_how_long_it_holds() -> None:
    state = PaintedState(0.0)
    state.handle(QuestionOpened(prompt_of(1)), 0.0)
    for key in "oe":
        state.handle(KeyPressed(key), 0.0)
    assert begin_edit_lines(present_prompt(state, 0.0)) == [
        "edit the rule; Enter answers with it, Esc goes back",
        "rule: allow until=2023-11-14T22:22:20Z shop.test 443 tcp /usr/bin/curl -s https://shop.test/",
        "holds: until the time in the line",
        "no line can say once: this one began with 9 minutes",
    ]


def test_help_is_told_key_by_key() -> None:
    row = HelpRow("answer", "y", "allow it")
    stop = "Ctrl-Z: stop the prompt, `fg` goes on"
    assert help_lines((row,), PromptView(sentence=(), is_question=False)) == [
        "",
        "y: allow it",
        stop,
        "any key goes back",
    ]
    behind = "any key goes back; 60 seconds left, then it is denied"
    assert help_lines((row,), sample_view(), is_guest=True) == ["", "y: allow it", behind]
    last_second = msgspec.structs.replace(sample_view(), seconds_left=1)
    assert help_lines((row,), last_second)[-1] == "any key goes back; 1 second left, then it is denied"


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


def test_what_was_learned_is_read_with_both_rules_and_why() -> None:
    state = PaintedState()
    state.handle(QuestionOpened(learned_prompt_of()), 0.0)
    state.handle(KeyPressed("f"), 10.0)
    allowed, denied, why, _holds = rule_lines(present_prompt(state, 11.0))
    assert (allowed[:23], denied[:24]) == ("rule: allow *.shop.test", "rule: deny img.shop.test")
    assert why.startswith("warning: for all of shop.test, since ")
