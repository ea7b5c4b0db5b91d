import itertools

import msgspec
import pytest
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QWidget

from tests.qt.sample_views import spoken, view_of
from tinysnitch.qt.help_form import HelpForm
from tinysnitch.qt.key_button import KeyButton
from tinysnitch.qt.span_label import SpanLabel
from tinysnitch.qt.theme import DARK, Look
from tinysnitch.view.help_view import present_help, present_legend

LOOK = Look(DARK, 15.0, 1)


@pytest.mark.usefixtures("application")
def test_each_row_is_there_with_the_time_of_the_question_behind_it() -> None:
    window = QWidget()
    form = HelpForm(window, KeyButton)
    window.show()
    view = msgspec.structs.replace(view_of("question"), seconds_left=42)
    for rows in (present_help(), present_legend()):
        form.show_help("keys", rows, view, LOOK)
        assert 15 * len(rows) < form.height_for(800) < 45 * len(rows)
        texts = spoken(form)
        words = {text.removesuffix(", chosen") for text in texts}
        assert {row.meaning for row in rows} <= words
        assert {row.word for row in rows} <= words | {"1 3 9", "a j"}  # each is a button of its own
        assert "any key goes back, 42 s, then deny" in texts
    form.show_help("keys", present_help(), msgspec.structs.replace(view, is_question=False), LOOK)
    assert "any key goes back" in spoken(form)


@pytest.mark.usefixtures("application")
def test_keys_are_buttons_but_for_those_that_answer() -> None:
    window = QWidget()
    form = HelpForm(window, KeyButton)
    window.show()
    form.show_help("keys", present_help(), view_of("question", "f"), LOOK)
    labels = [name.partition(",")[0] for name in spoken(form, QAccessible.Role.Button)]
    assert labels == [word for row in present_help() for word in row.word.split() if word not in "ynYN"]
    assert "f, chosen" in spoken(form, QAccessible.Role.Button)
    form.show_help("words", present_legend(), view_of("question"), LOOK)
    assert spoken(form, QAccessible.Role.Button) == []


@pytest.mark.usefixtures("application")
def test_rows_are_as_far_apart_with_buttons_as_without() -> None:
    window = QWidget()
    form = HelpForm(window, KeyButton)
    form.show_help("keys", present_help(), view_of("question"), LOOK)
    form.resize(800, form.height_for(800))
    window.show()
    meanings = [each.geometry() for each in form.findChildren(SpanLabel) if each.x() == form._rows[0]._meaning.x()]
    tops = [place.center().y() for place in meanings]
    steps = [lower - upper for upper, lower in itertools.pairwise(tops)]
    assert len(tops) == len(present_help())
    assert max(steps) - min(steps) <= 1
