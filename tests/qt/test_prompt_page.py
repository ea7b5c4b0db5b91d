"""Pages at many sizes: what must be seen is within the window."""

import pytest
from PySide6.QtGui import QGuiApplication

from tinysnitch.qt.demo import SAMPLES, sample_prompt
from tinysnitch.qt.page_layout import PageLayout
from tinysnitch.qt.prompt_page import PageSize, build_help, build_page
from tinysnitch.view.help_view import present_help, present_legend
from tinysnitch.view.keys import KEYS
from tinysnitch.view.prompt_events import KeyPressed, QuestionOpened
from tinysnitch.view.prompt_state import PromptState
from tinysnitch.view.prompt_view import PromptView, present_prompt

SIZES = [(320, 240), (640, 360), (1280, 720), (3840, 2160), (720, 1280)]


def view_of(name: str, keys: str = "") -> PromptView:
    state = PromptState(0.0)
    state.handle(QuestionOpened(sample_prompt(1, SAMPLES[name])), 0.0)
    for key in keys:
        state.handle(KeyPressed(key), 1.0)
    return present_prompt(state, 1.0)


def assert_inside(page: PageLayout, width: int, height: int) -> None:
    assert all(box.left() >= 0 and box.right() <= width and box.bottom() <= height for box, _label in page.keys)


@pytest.mark.usefixtures("application")
@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("name", ["long", "warnings"])
def test_every_key_is_in_the_window(name: str, width: int, height: int) -> None:
    for font_px in (None, 40.0):
        page = build_page(view_of(name), PageSize.of(width, height, font_px))
        assert {label for _box, label in page.keys} == {key.label for key in KEYS}
        assert_inside(page, width, height)


@pytest.mark.usefixtures("application")
def test_an_editor_has_its_own_keys() -> None:
    page = build_page(view_of("question", "e"), PageSize.of(1280, 720))
    assert [label for _box, label in page.keys] == ["Enter", "Esc"]


def test_without_a_question_there_is_a_page_too(application: QGuiApplication) -> None:
    view = present_prompt(PromptState(0.0), 0.0)
    assert build_page(view, PageSize.of(1280, 720)).keys


@pytest.mark.usefixtures("application")
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_help_fits(width: int, height: int) -> None:
    for rows in (present_help(), present_legend()):
        assert build_help("keys", rows, view_of("question"), PageSize.of(width, height)).y <= height
