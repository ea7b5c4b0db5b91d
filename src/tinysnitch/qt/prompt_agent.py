"""The session's agent: hears of questions, shows the window while any is open, and sends the answers.

1. The window is there while a question is in sight. With none it is hidden, and nothing runs until news come.
2. A key counts when it was typed `delay_s` after the window was first painted, whatever the state says of the question.
3. Leaving hides the window; the next new question brings it back, and to the questions of before it is as if they were
   new: they take no key until they have been in sight again.
"""

import time
from collections.abc import Callable
from typing import Protocol

import msgspec
from PySide6.QtCore import QObject, Qt, QTimer, Signal

from tinysnitch.client.process_ends import ProcessEnds
from tinysnitch.client.program_files import ProgramFiles
from tinysnitch.client.user_names import find_user
from tinysnitch.core.clock import Instant
from tinysnitch.qt.page import Page
from tinysnitch.qt.prompt_page import Room, build_help, build_page
from tinysnitch.qt.prompt_window import PromptWindow
from tinysnitch.view.help_view import present_help, present_legend
from tinysnitch.view.lookup import FindFile, Lookup
from tinysnitch.view.prompt_events import Answer, Answers, Event, KeyPressed, Leave, QuestionOpened, TextPasted
from tinysnitch.view.prompt_state import Page as StatePage
from tinysnitch.view.prompt_state import PromptState
from tinysnitch.view.prompt_view import PromptView, present_prompt

TICK_MS = 500  # of the countdown


class Link(Protocol):
    """Whoever has the questions."""

    def answer(self, effect: Answer | Answers) -> None: ...


class _Bell(QObject):
    """Rung in any thread, heard in Qt's."""

    rung = Signal()


class PromptAgent:
    def __init__(
        self,
        window: PromptWindow,
        delay_s: float,
        leave: Callable[[], None] | None = None,
        find_file: FindFile | None = None,
    ) -> None:
        self.link: Link | None = None
        self.state = PromptState(delay_s)
        self._window = window
        self._delay_s = delay_s
        self._bell = _Bell()
        find_file = find_file or ProgramFiles(self._bell.rung.emit).find
        self._lookup = Lookup(find_user, find_file, ProcessEnds().has_ended)
        self._leave = leave  # None: leaving only hides the window
        self._is_left = False
        self._painted_s: float | None = None  # when the window was first painted since it appeared
        self._ticker = _timer(TICK_MS, self._show, is_single=False)
        self._ready_timer = _timer(0, self._show, is_single=True)
        self._bell.rung.connect(self._show, Qt.ConnectionType.QueuedConnection)
        window.pressed.connect(self.press)
        window.pasted.connect(self.paste)
        window.closed.connect(self._hide_or_leave)
        window.painted.connect(self._note_painted)

    def tell(self, event: Event) -> None:
        """News of the questions."""
        if self._is_left and isinstance(event, QuestionOpened) and event.prompt.prompt_id not in self.state.questions:
            self._come_back()
        self._advance(event, time.monotonic())

    def press(self, name: str, typed_s: float) -> None:
        """A key was typed."""
        self._type(KeyPressed(name), typed_s)

    def paste(self, text: str, typed_s: float) -> None:
        self._type(TextPasted(text), typed_s)

    def _type(self, event: KeyPressed | TextPasted, typed_s: float) -> None:
        if self._painted_s is not None and typed_s >= self._painted_s + self._delay_s:
            self._advance(event, typed_s)

    def _advance(self, event: Event, now: float) -> None:
        effect = self.state.handle(event, now)
        if isinstance(effect, Answer | Answers) and self.link:
            self.link.answer(effect)
        elif isinstance(effect, Leave):
            self._hide_or_leave()
        self._show()

    # coming and going

    def _come_back(self) -> None:
        """The same questions in a new state, so that each has its delay before it."""
        now = time.monotonic()
        self._is_left = False
        questions = self.state.questions
        self.state = self.state.begin_anew()
        for question in questions.values():
            left_s = max(0.0, question.deadline_s - now)
            self.state.handle(QuestionOpened(msgspec.structs.replace(question.prompt, remaining_s=left_s)), now)

    def _hide_or_leave(self) -> None:
        if self._leave:
            self._leave()
        self._is_left = True
        self._show()

    def _note_painted(self) -> None:
        if self._painted_s is None and self._window.isVisible():
            self._painted_s = time.monotonic()
            self._ready_timer.start(int(self._delay_s * 1000) + 1)

    # showing

    def _show(self) -> None:
        if self._is_left or (self.state.selected is None and not self.state.is_edit_lost):
            self._hide()
            return
        view = self._view()
        self._window.is_editor = self.state.page is StatePage.EDIT
        self._window.show_page(view.title, self._builder(view))
        if not self._window.isVisible():
            self._painted_s = None
            self._window.appear()
        if not self._ticker.isActive():
            self._ticker.start()
        self._wait_until_ready()

    def _hide(self) -> None:
        self._ticker.stop()
        self._ready_timer.stop()
        self._window.hide()
        self._painted_s = None

    def _view(self) -> PromptView:
        now = time.monotonic()
        view = present_prompt(self.state, Instant(now, time.time()), self._lookup)
        return view if now >= self._ready_s() else msgspec.structs.replace(view, is_ready=False)

    def _ready_s(self) -> float:
        """When keys begin to count."""
        painted_s = time.monotonic() if self._painted_s is None else self._painted_s
        return max(self.state.next_change_s() or 0.0, painted_s + self._delay_s)

    def _wait_until_ready(self) -> None:
        """Paint once more when keys begin to count."""
        left_s = self._ready_s() - time.monotonic()
        if left_s > 0:
            self._ready_timer.start(int(left_s * 1000) + 1)

    def _builder(self, view: PromptView) -> Callable[[Room], Page]:
        if self.state.page is StatePage.HELP:
            return lambda room: build_help("keys", present_help(), view, room)
        if self.state.page is StatePage.LEGEND:
            return lambda room: build_help("what the words mean", present_legend(), view, room)
        return lambda room: build_page(view, room)


def _timer(interval_ms: int, act: Callable[[], None], *, is_single: bool) -> QTimer:
    timer = QTimer()
    timer.setInterval(interval_ms)
    timer.setSingleShot(is_single)
    timer.timeout.connect(act)
    return timer
