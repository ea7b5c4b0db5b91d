"""The widgets of a question: what is in sight, and that it fits."""

from itertools import combinations

import msgspec
import pytest
from PySide6.QtWidgets import QWidget

from tests.qt.sample_views import list_view, spoken, view_of
from tinysnitch.qt.key_button import KeyButton
from tinysnitch.qt.panel import take
from tinysnitch.qt.prompt_form import PromptForm
from tinysnitch.qt.theme import LIGHT, Look
from tinysnitch.view.prompt_view import PromptView

pytestmark = pytest.mark.usefixtures("application")

LOOK = Look(LIGHT, 15.0, 4)
WIDTH = 800


class Stage:
    def __init__(self) -> None:
        self.window = QWidget()
        self.form = PromptForm(self.window, KeyButton)
        self.window.show()

    def show(self, view: PromptView, look: Look = LOOK) -> int:
        """Show the view. Returns its height."""
        self.form.show_view(view, look)
        height = self.form.height_for(WIDTH)
        self.form.setGeometry(0, 0, WIDTH, height)
        return height


@pytest.fixture
def stage(application: object) -> Stage:
    return Stage()


@pytest.mark.parametrize(("keys", "told"), [("f", "the rule that y writes"), ("o", "what y allows")])
def test_no_rule_is_promised_where_none_is_written(stage: Stage, keys: str, told: str) -> None:
    stage.show(view_of("question", keys))
    assert told in spoken(stage.form)


def test_what_is_wrong_is_told_while_nothing_is_asked(stage: Stage) -> None:
    lost = msgspec.structs.replace(view_of("question", "e"), is_question=False, warnings=("rules not loaded",))
    stage.show(msgspec.structs.replace(lost, notice="answered", rule=()))
    assert {"warning: rules not loaded", "answered"} <= set(spoken(stage.form))
    assert [text for text in spoken(stage.form) if "then deny" in text] == []


def test_news_stand_beside_why_it_is_asked(stage: Stage) -> None:
    view = msgspec.structs.replace(view_of("question"), notice="answered once: deny x")
    stage.show(view)
    assert {view.why, view.notice} <= set(spoken(stage.form))


def test_how_many_wait_is_told_where_it_is_not_one(stage: Stage) -> None:
    view = msgspec.structs.replace(view_of("question"), waiting="question 1 of 3")
    stage.show(view)
    assert f"question 1 of 3; {view.why}" in spoken(stage.form)


def test_what_is_wider_than_the_question_is_told_with_the_rule(stage: Stage) -> None:
    stage.show(msgspec.structs.replace(view_of("question"), wider="for all of shop.test"))
    assert {"the rule that y writes", "for all of shop.test"} <= set(spoken(stage.form))


def test_of_questions_that_are_answered_together_the_list_is_shown(stage: Stage) -> None:
    stage.show(list_view(*(f"n{number}.test" for number in range(40))))
    texts = spoken(stage.form)
    assert {"1 to 12 of 40", "28 not seen yet", "n0.test", "n11.test"} <= set(texts)
    assert "n12.test" not in texts
    assert "y answers the 40 questions of curl, with 40 rules, each with one like this" in texts
    stage.show(view_of("question"))
    assert [text for text in spoken(stage.form) if "n0.test" in text] == []


def test_facts_take_more_rows_where_they_may(stage: Stage) -> None:
    few, many = (stage.show(view_of("long"), msgspec.structs.replace(LOOK, rows=rows)) for rows in (1, 4))
    assert few < many


@pytest.mark.parametrize("name", ["long", "one-liner", "warnings", "right-to-left", "unknown", "inbound"])
def test_parts_stand_inside_and_on_no_other(stage: Stage, name: str) -> None:
    height = stage.show(view_of(name))
    parts = [part for part in stage.form.children() if isinstance(part, QWidget) and part.isVisible()]
    assert len(parts) > 6
    assert all(stage.form.rect().contains(part.geometry()) for part in parts)
    assert [pair for pair in combinations(parts, 2) if pair[0].geometry().intersects(pair[1].geometry())] == []
    assert height < 1200


def test_an_editor_has_its_own_keys_and_a_field(stage: Stage) -> None:
    view = view_of("question", "e")
    stage.show(view)
    assert view.edit
    assert stage.form.field.text() == view.edit.line
    texts = spoken(stage.form)
    assert "Enter: answer with it" in texts
    assert [text for text in texts if text.startswith("y: allow")] == []


def test_the_time_stands_out_at_its_end(stage: Stage) -> None:
    view = view_of("question")
    stage.show(view)
    quiet = stage.form.grab().toImage()
    stage.show(msgspec.structs.replace(view, seconds_left=9))
    assert "9 s, then deny" in spoken(stage.form)
    corner = stage.form.rect().adjusted(WIDTH - 150, stage.form.height() - 50, 0, 0)
    late = stage.form.grab().toImage().copy(corner)
    colors = {late.pixelColor(x, y).name() for x in range(late.width()) for y in range(late.height())}
    assert LIGHT.warning.name() in colors
    before = quiet.copy(corner)
    earlier = {before.pixelColor(x, y).name() for x in range(before.width()) for y in range(before.height())}
    assert LIGHT.warning.name() not in earlier


def test_widgets_are_kept() -> None:
    made: list[QWidget] = []
    first = take(made, 3, QWidget)
    assert take(made, 2, QWidget) == first[:2]
    assert (len(made), made[2].isHidden()) == (3, True)
