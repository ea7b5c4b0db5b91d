"""The list of questions that are answered together, in a window."""

import math

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QPalette, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from tests.lab.patience import wait_until
from tests.qt.sample_views import list_view
from tests.view.sample_prompts import connection_of, prompt_of
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.qt.group_panel import COLUMNS, ROWS, GroupPanel, RowLabel
from tinysnitch.qt.panel import Panel, take
from tinysnitch.qt.prompt_agent import PromptAgent
from tinysnitch.qt.prompt_window import PromptWindow
from tinysnitch.qt.theme import LIGHT, Look
from tinysnitch.view.prompt_events import Answer, Answers, QuestionOpened, ToDaemon

pytestmark = pytest.mark.usefixtures("application")

LOOK = Look(LIGHT, 15.0, 4)
LONG = f"{'very-long-label-' * 3}.{'another-' * 7}x.evil-exfiltration-host.shop.test"
NAMES = [*(f"n{number}.page{number % 3}.test" for number in range(39)), LONG]


def rows_of(panel: QWidget) -> list[RowLabel]:
    return [label for label in panel.findChildren(RowLabel) if label.isVisible()]


@pytest.fixture
def panel(application: QApplication) -> GroupPanel:
    window = QWidget()
    panel = GroupPanel(window)
    panel.setFixedWidth(LOOK.px(54))
    panel.destroyed.connect(window.close)
    panel.holder = window  # type: ignore[attr-defined]  # it lives as long as the panel
    window.show()
    return panel


def test_marks_say_where_the_cursor_is_and_what_is_left_out(panel: GroupPanel) -> None:
    panel.show_group(list_view("a.test", "b.test", keys=("down", " ", "down")).group, LOOK)
    assert [label.accessibleName() for label in rows_of(panel)] == ["a.test, left out", "b.test, chosen"]
    assert [label.text() for label in rows_of(panel)] == ["\u00a0-\u00a0a.test", ">\u00a0\u00a0b.test"]
    assert [label.autoFillBackground() for label in rows_of(panel)] == [False, True]
    assert rows_of(panel)[1].palette().color(QPalette.ColorRole.Window) == LIGHT.key
    panel.show_group(None, LOOK)
    assert not panel.isVisible()


def test_no_name_is_cut(panel: GroupPanel) -> None:
    panel.show_group(list_view(*NAMES, keys=("end",)).group, LOOK)
    shown = "".join(label.accessibleName().strip() for label in rows_of(panel))
    assert LONG in shown
    panel.adjustSize()
    drawn = [label._fit(label.width()).layout.text() for label in rows_of(panel)]
    assert "…" not in "".join(drawn)
    assert len(drawn) == ROWS
    assert max(math.ceil(label.sizeHint().width()) for label in rows_of(panel)) < LOOK.px(54) * 2


def test_a_row_can_be_clicked(panel: GroupPanel) -> None:
    pointed: list[int] = []
    panel.pointed.connect(lambda prompt_id, _at_s: pointed.append(prompt_id))
    panel.show_group(list_view("a.test", "b.test").group, LOOK)
    QTest.mouseClick(rows_of(panel)[1], Qt.MouseButton.LeftButton)
    assert pointed == [1]


def test_what_is_shown_again_is_the_same_widgets(panel: GroupPanel) -> None:
    made: list[Panel] = []

    def make() -> Panel:
        made.append(Panel(panel))
        return made[-1]

    pool: list[Panel] = []
    assert [take(pool, count, make) for count in (2, 1, 2)] == [made, made[:1], made]
    assert len(made) == 2


class Link:
    def __init__(self) -> None:
        self.answers: list[Answer] = []

    def answer(self, given: ToDaemon) -> None:
        self.answers += given.answers if isinstance(given, Answers) else ()


def test_forty_of_which_three_are_left_out_one_is_denied_and_the_rest_allowed_after_all_were_painted(
    application: QApplication,
) -> None:
    window, painted = PromptWindow(), set[str]()
    agent = PromptAgent(window, 0.05)
    link = agent.link = Link()
    window.painted.connect(lambda: painted.update(label.accessibleName().strip() for label in rows_of(window)))

    def press(*names: str) -> None:
        for name in names:
            wait_until(lambda: QTest.qWait(5) or agent.state.next_change_s())
            agent.press(name, (agent.state.next_change_s() or 0.0) + 9.0)
            wait_until(lambda: QTest.qWait(5) or not agent._piece.holds_keys)

    for number, name in enumerate(NAMES):
        agent.tell(QuestionOpened(prompt_of(number, connection_of(name=name))))
    press("g", "down", " ", "down", " ", "down", " ", "down", "n")
    group = agent.state.group
    assert group
    assert (group.columns, group.room, len(group.left_out)) == (COLUMNS, ROWS, 3)
    (denied,) = link.answers
    window.wheelEvent(wheel(-120))
    press("home")
    while agent.state.group and agent.state.group.note_painted().unseen:
        press("pagedown")
    press("y")
    allowed = {one.prompt_id for one in link.answers[1:] if one.choice and one.choice.verdict is Verdict.ALLOW}
    assert allowed == set(range(40)) - group.left_out - {denied.prompt_id}
    assert [name for name in NAMES[:-1] if name not in {text.split(",")[0] for text in painted}] == []
    window.close()
    agent._hide_or_leave()


def wheel(steps: int) -> QWheelEvent:
    at, none = QPointF(1, 1), QPoint(0, 0)
    keys, phase = Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase
    return QWheelEvent(at, at, none, QPoint(0, steps), Qt.MouseButton.NoButton, keys, phase, False)
