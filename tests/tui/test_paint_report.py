import asyncio
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot

from tests.tui.app_stage import play, see
from tests.tui.question_daemon import QuestionDaemon
from tests.tui.waiting import until
from tests.view.sample_prompts import prompt_of
from tinysnitch.tui import paint_report
from tinysnitch.tui.paint_report import REQUEST, PaintReport
from tinysnitch.tui.prompt_app import PromptApp


class Line:
    """What was sent to the terminal, and what is believed to stand there."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.seen: list[int] = []
        self.report = PaintReport(self.sent.append, self.seen.append)


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


def test_one_that_answers_is_waited_for() -> None:
    async def script() -> None:
        line = await answering()
        line.report.note_written(1)
        line.report.note_written(1)  # the countdown went on
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
