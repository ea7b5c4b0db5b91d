import re
from pathlib import Path

import msgspec
import pytest
from textual.events import MouseScrollDown, MouseScrollUp
from textual.geometry import Region
from textual.pilot import Pilot

from tests.tui.app_stage import play, screen_of, see, until_ready
from tests.tui.question_daemon import QuestionDaemon
from tests.tui.test_prompt_screen import FULL, rows_of, view_of
from tests.tui.waiting import until
from tests.view.sample_prompts import CURL, prompt_of
from tinysnitch.core.model.process import Process
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import RemoteScope
from tinysnitch.tui import prompt_app
from tinysnitch.tui.prompt_app import PromptApp
from tinysnitch.tui.prompt_screen import render_prompt
from tinysnitch.view.lookup import Lookup
from tinysnitch.view.prompt_view import PromptView

NEWS = msgspec.structs.replace(view_of(FULL), notice=f"answered once: deny {'x' * 300}")
WARNED = msgspec.structs.replace(view_of(FULL), warnings=tuple(f"{number}: {'x' * 60}" for number in range(9)))


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize(
    "view", [view_of(FULL), view_of(FULL, "fje"), NEWS, WARNED], ids=["", "edit", "news", "warned"]
)
def test_a_higher_terminal_shows_no_less_and_all_in_the_end(view: PromptView, width: int) -> None:
    facts = {f"{line.label}  " for line in view.lines}
    keys = {f"{hint.label} {hint.text}" for hints in view.everyday for hint in hints if not hint.verdict}
    before: set[str] = set()
    for height in range(5, 50):
        rows = rows_of(render_prompt(view, width, height))
        shown = {fact for fact in facts if any(row.lstrip().startswith(fact) or f"  {fact}" in row for row in rows)}
        shown |= {key for key in keys if any(key in row for row in rows)}
        assert (len(rows) <= height, before - shown, "then deny" in rows[-1]) == (True, set(), True), height
        before = shown
    assert before == facts | keys


def test_a_countdown_redraws_only_the_rows_that_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_app, "TICK_S", 0.05)
    drawn: list[Region] = []

    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        daemon.open(prompt_of(1))
        await until_ready(app)
        await pilot.press("f")  # a rule without a time: only the bar changes
        await see(app, "forever, in the rules file")
        left_s = read_seconds(app)
        refresh = app._widget.refresh
        monkeypatch.setattr(app._widget, "refresh", lambda *regions: drawn.extend(regions) or refresh(*regions))
        await until(lambda: len(drawn) > 1)
        bar = next(at for at, row in enumerate(screen_of(app).split("\n")) if "then deny" in row)
        assert {(region.y, region.height) for region in drawn} == {(bar, 1)}
        await until(lambda: read_seconds(app) < left_s)

    play(tmp_path / "s", script)


def test_that_keys_count_is_shown_without_waiting_for_the_countdown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompt_app, "TICK_S", 1000.0)

    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        daemon.open(prompt_of(1))
        await see(app, "keys do not count yet")
        await see(app, "asked because")

    play(tmp_path / "s", script, delay_s=0.5)


def read_seconds(app: PromptApp) -> int:
    return int(re.findall("([0-9]+) s, then deny", screen_of(app))[0])


def test_the_help_of_a_small_terminal_is_read_page_by_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_app, "TICK_S", 1000.0)  # no page waits for the countdown

    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        await pilot.resize_terminal(40, 10)
        daemon.open(prompt_of(1))
        await until_ready(app)
        pages = (("h", "page 1 of"), ("x", "page 2 of"), ("x", "page 3 of"))
        for key, text in (*pages, ("escape", "curl wants"), ("h", "page 1 of")):
            await pilot.press(key)
            await see(app, text)
        for _page in range(20):
            await pilot.press("x")
        assert daemon.answers.empty()
        await pilot.press("ctrl+c")
        await until(lambda: not app.is_running)

    play(tmp_path / "s", script)


def test_who_answers_and_leaves_waits_till_it_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        finish, was_running = app._link.finish, []

        async def finish_then_look() -> None:
            await finish()
            was_running.append(app.is_running)

        monkeypatch.setattr(app._link, "finish", finish_then_look)
        daemon.open(prompt_of(1))
        await until_ready(app)
        await pilot.press("y", "q")
        await until(lambda: not app.is_running)
        assert was_running == [True]

    play(tmp_path / "s", script)


def test_what_changes_between_a_redraw_and_the_painting_is_seen_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the rows that a redraw found changed are painted: here those of the countdown, while the program ends."""
    monkeypatch.setattr(prompt_app, "TICK_S", 0.05)
    ended: list[Process] = []

    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        app._widget._drawer._lookup = Lookup(has_ended=lambda process: process in ended)
        daemon.open(prompt_of(1))
        await until_ready(app)
        await pilot.press("f")
        await see(app, "forever, in the rules file")
        refresh = app._widget.refresh
        monkeypatch.setattr(app._widget, "refresh", lambda *regions: ended.append(CURL) or refresh(*regions))
        await see(app, "/usr/bin/curl (has ended)")

    play(tmp_path / "s", script)


def test_what_is_drawn_and_not_painted_yet_takes_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        await pilot.pause()  # until the first paint is done
        monkeypatch.setattr(app._widget, "refresh", lambda *_regions: app._widget)
        daemon.open(prompt_of(1))
        await until(lambda: app.state.selected and not app._is_drawing_due)
        app._widget.redraw()  # nothing changed
        assert app.state.next_change_s() is None

    play(tmp_path / "s", script, delay_s=0.01)


def test_a_thousand_news_of_one_moment_are_drawn_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        draw, drawn = app._widget._draw_all, []
        monkeypatch.setattr(app._widget, "_draw_all", lambda: drawn.append(True) or draw())
        for number in range(1, 1001):
            daemon.open(prompt_of(number))
        await see(app, "question 1 of 1000")
        assert len(drawn) < 200

    play(tmp_path / "s", script)


def test_a_key_is_pressed_by_a_click_on_its_hint_and_nothing_by_one_beside_it(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        daemon.open(prompt_of(1))
        await until_ready(app)
        await see(app, "y  allow")
        await pilot.click(offset=place_of(app, "wants to reach"))
        await pilot.click(offset=place_of(app, "its domain"))
        await see(app, "rule        allow *.shop.test")
        await pilot.click(offset=place_of(app, "deny for 9 minutes"))
        prompt_id, choice = await daemon.answers.get()
        assert (prompt_id, choice.verdict, choice.remote) == (1, Verdict.DENY, RemoteScope.DOMAIN)
        assert set(daemon.kept) == {1}, "its time began again"

    play(tmp_path / "s", script)


def test_a_click_on_a_question_that_is_too_new_answers_nothing(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        daemon.open(prompt_of(1))
        await see(app, "deny for 9")
        await pilot.click(offset=place_of(app, "deny for 9"))
        await pilot.pause()
        assert daemon.answers.empty()

    play(tmp_path / "s", script, delay_s=30.0)


def test_the_wheel_turns_the_pages_of_the_help_and_does_not_leave_it(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        await pilot.resize_terminal(40, 10)
        await see(app, "no questions")
        await pilot.press("h")
        await see(app, "page 1 of")
        for turn, text in ((scroll_down, "page 2 of"), (scroll_up, "page 1 of"), (scroll_up, "page 1 of")):
            app.post_message(turn())
            await see(app, text)
        for _turn in range(20):
            app.post_message(scroll_down())
        await see(app, "any key goes back")

    play(tmp_path / "s", script)


def place_of(app: PromptApp, text: str) -> tuple[int, int]:
    """Column and row of a text on the screen."""
    rows = screen_of(app).split("\n")
    row = next(at for at, line in enumerate(rows) if text in line)
    return rows[row].index(text), row


def scroll_down() -> MouseScrollDown:
    return MouseScrollDown(None, 1, 1, 0, 0, 0, shift=False, meta=False, ctrl=False)


def scroll_up() -> MouseScrollUp:
    return MouseScrollUp(None, 1, 1, 0, 0, 0, shift=False, meta=False, ctrl=False)
