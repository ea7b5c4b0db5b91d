import asyncio
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot

from tests.tui.app_stage import play, see, until_ready
from tests.tui.question_daemon import QuestionDaemon
from tests.tui.waiting import until
from tests.view.sample_prompts import prompt_of
from tinysnitch.tui.paste_guard import PasteGuard
from tinysnitch.tui.prompt_app import PromptApp
from tinysnitch.view.prompt_events import KeyPressed
from tinysnitch.view.prompt_state import PASTED_S

PAUSE_S = 2 * PASTED_S


def given_of(*pieces: str) -> str:
    """What keys of pieces, each of which comes at once, reach the state; a `.` for each that is taken for a text."""

    async def run() -> str:
        given: list[str] = []
        guard = PasteGuard(lambda key, _typed_s: given.append(key.name), lambda _typed_s: given.append("."))
        for number, piece in enumerate(pieces):
            for letter in piece:
                guard.press(KeyPressed({"\n": "enter"}.get(letter, letter)), 10.0 + number * PAUSE_S)
            await asyncio.sleep(PAUSE_S)
        return "".join(given)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("pieces", "given"),
    [
        (("y",), "y"),
        (("f", "y"), "fy"),
        (("fy",), "fy"),
        (("y", "y"), "yy"),
        (("yq",), "yq"),
        (("python",), "p...."),
        (("any",), "a."),
        (("yes", "n"), "..n"),
        (("npm install", "y"), "." * 10 + "y"),
    ],
)
def test_an_answer_behind_which_more_comes_at_once_is_none(pieces: tuple[str, ...], given: str) -> None:
    assert given_of(*pieces) == given


def test_a_whole_line_may_be_sent_at_once() -> None:
    assert given_of("y\n", "n\n") == "yenternenter"


def test_a_paste_that_the_terminal_does_not_mark_answers_nothing(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        daemon.open(prompt_of(1))
        await until_ready(app)
        for letter in "yes":
            app.post_message(events.Key(letter, letter))
        await until(lambda: not app.state.is_ready(asyncio.get_running_loop().time()))
        assert daemon.answers.empty()
        await until_ready(app)
        await pilot.press("y")
        assert (await daemon.answers.get())[0] == 1

    play(tmp_path / "s", script)


def test_keys_before_there_is_a_question_are_no_text(tmp_path: Path) -> None:
    """Whoever reads of a question and asks for the help at once gets it."""

    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        await see(app, "no questions")
        for key in ("y", "y", "h"):
            app.post_message(events.Key(key, key))
        await see(app, "any key goes back")

    play(tmp_path / "s", script)


def test_without_a_delay_all_keys_of_one_piece_count(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, _pilot: Pilot[None]) -> None:
        for prompt_id in (1, 2):
            daemon.open(prompt_of(prompt_id))
        await until(lambda: len(app.state.questions) == 2)
        for letter in "yy":
            app.post_message(events.Key(letter, letter))
        assert [(await daemon.answers.get())[0] for _ in range(2)] == [1, 2]

    play(tmp_path / "s", script, delay_s=0.0)
