import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot

from tests.tui.app_stage import play, see, until_ready
from tests.tui.plain_stage import Person
from tests.tui.plain_stage import play as play_plain
from tests.tui.question_daemon import QuestionDaemon
from tests.tui.waiting import SCRIPT_S, until
from tests.view.sample_prompts import prompt_of
from tinysnitch.tui import paint_report, plain_prompt, prompt_app
from tinysnitch.tui.paint_report import REQUEST, PaintReport
from tinysnitch.tui.prompt_app import PromptApp
from tinysnitch.view.prompt_events import QuestionClosed


class Line:
    """What was sent to the terminal, and which sight is taken to be on it."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.seen: list[int] = []
        self.takes = True
        self.report = PaintReport(self.sent.append, self.seen.append, lambda: self.takes)


async def answering() -> Line:
    line = Line()
    line.report.note_written(0)
    line.report.note_answer()
    line.seen.clear()
    return line


def test_a_terminal_that_never_answered_is_believed() -> None:
    line = Line()
    line.report.note_written(0)
    line.report.note_written(1)
    assert line.seen == [0, 1]
    assert line.sent == [REQUEST] * 2


@pytest.mark.parametrize("is_answering", [False, True])
def test_one_that_takes_nothing_is_not_believed(monkeypatch: pytest.MonkeyPatch, is_answering: bool) -> None:
    monkeypatch.setattr(paint_report, "GIVE_UP_S", 0.01)
    monkeypatch.setattr(paint_report, "LOOK_AGAIN_S", 0.01)

    async def script() -> None:
        line = await answering() if is_answering else Line()
        line.takes = False
        line.report.note_written(1)
        await asyncio.sleep(0.1)
        line.report.note_written(2)
        await asyncio.sleep(0.1)
        assert line.seen == []
        line.takes = True
        await until(lambda: line.seen == [2])

    asyncio.run(script())


def test_one_that_answers_is_waited_for() -> None:
    async def script() -> None:
        line = await answering()
        line.report.note_written(1)
        line.report.note_written(1)  # painted again for the countdown
        assert line.seen == []
        line.report.note_answer()
        assert line.seen == [1]
        assert line.sent == [REQUEST] * 2

    asyncio.run(script())


def test_an_answer_is_for_what_was_asked_first() -> None:
    async def script() -> None:
        line = await answering()
        line.report.note_written(1)
        line.report.note_written(2)
        line.report.note_answer()
        assert line.seen == []
        line.report.note_answer()
        assert line.seen == [2]

    asyncio.run(script())


def test_an_answer_that_is_lost_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paint_report, "GIVE_UP_S", 0.01)

    async def script() -> None:
        line = await answering()
        line.report.note_written(1)
        await asyncio.sleep(0.05)
        assert line.seen == [1]
        line.report.note_written(2)
        assert line.seen == [1, 2]
        line.report.note_answer()
        line.report.note_written(3)
        assert line.seen[-1] == 2
        line.report.note_answer()
        assert line.seen[-1] == 3

    asyncio.run(script())


def test_a_key_that_was_typed_before_the_question_stood_on_a_terminal_far_away_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(PromptApp, "_write", lambda _app, text: sent.append(text))

    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        await until(lambda: bool(sent))
        app.post_message(events.CursorPosition(0, 0))
        daemon.open(prompt_of(1))
        await see(app, "curl wants to reach shop.test")
        await until(lambda: len(sent) == 2)
        await asyncio.sleep(0.1)  # longer than the delay
        await pilot.press("y")
        await see(app, "keys do not count yet")
        assert daemon.answers.empty()
        app.post_message(events.CursorPosition(0, 0))
        await until(lambda: app.state.next_change_s() is not None)
        await asyncio.sleep(0.1)
        await pilot.press("y")
        assert (await daemon.answers.get())[0] == 1

    play(tmp_path / "s", script)


def test_what_stood_on_the_screen_before_says_nothing_of_what_came_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    drawn: list[object] = []
    monkeypatch.setattr(PromptApp, "_write", lambda _app, text: sent.append(text))

    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        await until(lambda: bool(sent))
        app._report.note_answer()
        for number in (1, 2):
            daemon.open(prompt_of(number))
        await until(lambda: len(app.state.questions) == len(sent) == 2)
        app.tell(QuestionClosed(1, "answered"))
        with monkeypatch.context() as patch:
            patch.setattr(app, "call_after_refresh", lambda *what: drawn.append(what))
            app._note_painted()
        app._report.note_answer()
        assert (app.state.next_change_s(), drawn) == (None, [])
        assert app.state.selected is not None

    play(tmp_path / "s", script)


@contextmanager
def suspended(app: PromptApp) -> Iterator[None]:
    """As textual does it, without a terminal."""
    yield
    app.app_resume_signal.publish(app)


def test_what_comes_back_from_ctrl_z_counts_as_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_app, "stop_job", lambda *_: None)
    monkeypatch.setattr(PromptApp, "suspend", suspended)

    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        daemon.open(prompt_of(1))
        await until_ready(app)
        app.action_suspend_process()
        assert app.state.next_change_s() is None

    play(tmp_path / "s", script)


CURSOR_AT = "\x1b[7;1R"  # a terminal's report of its cursor


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One entry for each report of the terminal that a prompt has read."""
    noted: list[None] = []
    note = PaintReport.note_answer
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(paint_report, "GIVE_UP_S", SCRIPT_S)
    monkeypatch.setattr(PaintReport, "note_answer", lambda report: note(report) or noted.append(None))
    return noted


def test_in_lines_too_keys_count_once_the_question_stands_on_the_terminal(tmp_path: Path, answered: list[None]) -> None:
    async def script(daemon: QuestionDaemon, person: Person) -> None:
        await person.see(REQUEST)
        person.type(CURSOR_AT)
        await until(lambda: len(answered) == 1)
        daemon.open(prompt_of(1))
        await person.see(REQUEST)
        await asyncio.sleep(0.3)  # more than the delay
        person.type("yn" + CURSOR_AT)
        await person.see("keys: ")
        assert daemon.answers.empty()
        person.type("ge")
        await person.see(REQUEST)
        person.type(CURSOR_AT)
        await until(lambda: len(answered) == 3)
        await asyncio.sleep(0.1)  # more than the delay
        person.type("\r")
        assert (await daemon.lines.get())[0] == 1
        person.type("q")

    play_plain(tmp_path, script, delay_s=0.05)


def test_in_lines_too_what_stood_there_before_says_nothing_of_what_came_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answered: list[None]
) -> None:
    monkeypatch.setattr(plain_prompt, "SHOW_S", 0.5)  # both come into sight together, however late the second is

    async def script(daemon: QuestionDaemon, person: Person) -> None:
        await person.see(REQUEST)
        person.type(CURSOR_AT)
        await until(lambda: len(answered) == 1)
        for number in (1, 2):
            daemon.open(prompt_of(number))
        await person.see("question 1 of 2")
        await person.see(REQUEST)
        daemon.close(1, "answered by alice")
        await person.see("answered by alice")
        person.type(CURSOR_AT)
        await person.see(REQUEST)
        await asyncio.sleep(0.2)  # more than the delay
        assert "keys: " not in person.seen
        person.type(CURSOR_AT)
        await person.see("keys: ")
        person.type("q")

    play_plain(tmp_path, script, delay_s=0.05)


@pytest.mark.parametrize(("term", "is_guest"), [("dumb", False), ("", False), ("xterm", True)])
def test_who_would_show_or_pass_on_what_a_terminal_is_asked_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, term: str, is_guest: bool
) -> None:
    monkeypatch.setenv("TERM", term)

    async def script(daemon: QuestionDaemon, person: Person) -> None:
        daemon.open(prompt_of(1))
        await until(lambda: "keys: " in person.seen)
        assert "\x1b" not in person.seen
        person.type("q")

    play_plain(tmp_path, script, delay_s=0.05, is_guest=is_guest)
