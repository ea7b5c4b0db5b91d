"""Views of the sample questions, and what a screen reader finds in a window."""

from collections.abc import Iterator

from PySide6.QtGui import QAccessible, QAccessibleInterface
from PySide6.QtWidgets import QWidget

from tests.view.sample_prompts import connection_of, prompt_of
from tinysnitch.qt.demo import SAMPLES, sample_prompt
from tinysnitch.qt.group_panel import COLUMNS, ROWS
from tinysnitch.view.prompt_events import KeyPressed, ListSized, QuestionOpened
from tinysnitch.view.prompt_state import PromptState
from tinysnitch.view.prompt_view import PromptView, present_prompt


def view_of(name: str, keys: str = "") -> PromptView:
    state = PromptState(0.0)
    state.handle(QuestionOpened(sample_prompt(1, SAMPLES[name])), 0.0)
    for key in keys:
        state.handle(KeyPressed(key), 1.0)
    return present_prompt(state, 1.0)


def list_view(*names: str, keys: tuple[str, ...] = ()) -> PromptView:
    """The list of questions for these names, as the agent shows it."""
    state = PromptState(0.0)
    state.handle(ListSized(COLUMNS, ROWS), 0.0)
    for number, name in enumerate(names):
        state.handle(QuestionOpened(prompt_of(number, connection_of(name=name))), 0.0)
    for key in ("g", *keys):
        state.handle(KeyPressed(key), 1.0)
    return present_prompt(state, 1.0)


def spoken(widget: QWidget, role: QAccessible.Role | None = None) -> list[str]:
    """What a screen reader finds in the widget: the names of all that is in sight, or of what has this role."""
    found = QAccessible.queryAccessibleInterface(widget)
    assert found
    return [
        text
        for each in _walk(found)
        if role in (None, each.role()) and (text := each.text(QAccessible.Text.Name)) and not _is_hidden(each)
    ]


def _walk(interface: QAccessibleInterface) -> Iterator[QAccessibleInterface]:
    yield interface
    for number in range(interface.childCount()):
        if child := interface.child(number):
            yield from _walk(child)


def _is_hidden(interface: QAccessibleInterface) -> bool:
    widget = interface.object()
    return isinstance(widget, QWidget) and not widget.isVisible()
