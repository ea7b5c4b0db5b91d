"""The list of questions that are answered together, on a terminal."""

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual.pilot import Pilot

from tests.tui.app_stage import play, screen_of, see, until_ready
from tests.tui.question_daemon import QuestionDaemon
from tests.tui.test_prompt_widget import place_of, scroll_down
from tests.tui.waiting import until
from tests.view.painted_state import PaintedState
from tests.view.sample_prompts import CURL, connection_of, prompt_of
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.tui.group_screen import list_room, render_group
from tinysnitch.tui.prompt_app import PromptApp
from tinysnitch.view.escape import cell_width
from tinysnitch.view.prompt_events import KeyPressed, ListSized, QuestionOpened
from tinysnitch.view.prompt_state import PromptState
from tinysnitch.view.prompt_view import present_prompt

EVIL = "evil-exfiltration-host-of-a-long-name-that-has-no-end-at-all.and-more.shop.test"
NAMES = [*(f"n{number}.page{number % 3}.test" for number in range(38)), EVIL, "shop.test.evil.example"]


def state_of(names: list[str], keys: list[str], size: tuple[int, int], **changes: object) -> PromptState:
    """The state of a list that was drawn on a terminal of this size, as the widget draws it."""
    state, process = PaintedState(), msgspec.structs.replace(CURL, **changes)
    for number, name in enumerate(names):
        state.handle(QuestionOpened(prompt_of(number, connection_of(process, name=name))), 0.0)
    state.handle(ListSized(1, 0), 0.0)
    for at, key in enumerate(["g", *keys]):
        state.handle(KeyPressed(key), 1.0 + at)
        view = present_prompt(state, 1.0 + at)
        if view.group:
            state.handle(ListSized(*list_room(view, *size)), 1.0 + at)
    return state


def rows_of(state: PromptState, size: tuple[int, int]) -> list[str]:
    return render_group(present_prompt(state, 60.0), *size).plain.split("\n")


@pytest.mark.parametrize("size", [(80, 24), (40, 14), (200, 60)])
def test_names_rule_keys_and_time_are_shown(size: tuple[int, int]) -> None:
    screen = "\n".join(rows_of(state_of(NAMES, ["f"], size), size))
    wanted = [
        "40 questions of curl",
        "   n0.page0.test",
        "allow ",
        "allow all 40",
        " n  deny",
        "0 s, then deny",
    ]
    assert [text for text in wanted if text not in screen] == []


def test_a_larger_terminal_also_says_who_asks_and_how_many_rules_there_will_be() -> None:
    screen = "\n".join(rows_of(state_of(NAMES, ["f"], (80, 24)), (80, 24)))
    assert "path        /usr/bin/curl" in screen
    assert "y answers the 40 questions of curl, with 40 rules, each with one like" in screen


def test_the_list_has_the_same_room_on_every_page_and_with_any_news() -> None:
    for size in ((80, 24), (40, 14)):
        rooms = set()
        for keys in ([], ["pagedown"], ["end"], ["y"], ["down", " "], [" "], ["end", "down", "down"]):
            rooms.add(list_room(present_prompt(state_of(NAMES, keys, size), 9.0), *size))
        assert len(rooms) == 1


def test_the_cursor_and_what_is_left_out_are_marked_without_colours() -> None:
    rows = rows_of(state_of(NAMES, ["down", " ", "down"], (80, 24)), (80, 24))
    assert [row.strip() for row in rows if ".page0" in row][:3] == [
        "- n0.page0.test",
        ">  n3.page0.test",
        "n6.page0.test",
    ]


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 200),
    st.integers(1, 60),
    st.lists(st.sampled_from(["down", "up", "pagedown", "end", " ", "y", "f", "d"]), max_size=6),
    st.sampled_from([(), ("runs from /tmp",) * 3, tuple(f"{number} {'x' * 90}" for number in range(9))]),
)
def test_no_list_breaks_a_screen(width: int, height: int, keys: list[str], warnings: tuple[str, ...]) -> None:
    size = (width, height)
    state = state_of(NAMES[-12:], keys, size, warnings=warnings)
    rows = rows_of(state, size) if state.group else []
    assert len(rows) <= height
    assert all(cell_width(row) <= width for row in rows)


@pytest.mark.parametrize("size", [(80, 24), (40, 14)])
def test_forty_of_which_three_are_left_out_one_is_denied_and_the_rest_allowed_after_all_were_painted(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    painted: set[str] = set()

    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        async def press(*keys: str) -> None:
            for key in keys:
                await until_ready(app)
                await pilot.press(key)
                await until(
                    lambda: not app._piece.holds_keys
                )  # else a key that follows at once would be a text with it
                await until_ready(app)
                painted.add(names_on(screen_of(app)))

        for number, name in enumerate(NAMES):
            daemon.open(prompt_of(number, connection_of(name=name)))
        await see(app, "all 40 together")
        await press("g", "down", "space", "down", "space", "down", "space", "down", "n")
        assert app.state.group
        denied = (await daemon.answers.get())[0]
        left_out = set(app.state.group.left_out)
        assert (len(left_out), denied in left_out, len(app.state.group.ids)) == (3, False, 39)
        pages = 1
        while app.state.group.note_painted().unseen:
            await press("pagedown")
            pages += 1
        await press("y")
        answers = [await daemon.answers.get() for _number in range(36)]
        assert {verdict.verdict for _number, verdict in answers} == {Verdict.ALLOW}
        assert {number for number, _verdict in answers} == set(range(40)) - left_out - {denied}
        assert pages == {24: 4, 14: 7}[size[1]]

    play(tmp_path / "s", script, size=size)
    assert [name for name in NAMES if name not in "\n".join(painted)] == []


def test_the_mouse_picks_a_question_and_goes_through_the_list(tmp_path: Path) -> None:
    async def script(daemon: QuestionDaemon, app: PromptApp, pilot: Pilot[None]) -> None:
        for number, name in enumerate(NAMES):
            daemon.open(prompt_of(number, connection_of(name=name)))
        await see(app, "all 40 together")
        await until_ready(app)
        await pilot.press("g")
        await see(app, "1 to 10 of 40")
        await until_ready(app)
        await pilot.click(offset=place_of(app, "n3.page0"))
        await see(app, ">  n3.page0.test")
        await pilot.click(offset=place_of(app, "n3.page0"))
        await see(app, ">- n3.page0.test")
        app.post_message(scroll_down())
        await see(app, "4 to 13 of 40, 1 left out")

    play(tmp_path / "s", script)


def names_on(screen: str) -> str:
    """The names of the list on a screen; one that takes several rows is put together again."""
    return re.sub(r"\n {6}", "", re.sub(r" +\n", "\n", screen))
