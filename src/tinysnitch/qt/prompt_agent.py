"""The agent between daemon link, state and window: shows the window while there is a question, and sends the answers.

1. The window is shown while a question is in sight. With none it is hidden, and nothing runs until news come; but it
   stays until the key that answered is released: a key that is still held would go on typing into the window behind.
2. Leaving hides the window. The next new question brings it back, and the earlier questions count as new, too: they
   take no key until they have been in sight for their delay.
"""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Protocol

import msgspec
from PySide6.QtCore import QObject, Qt, QTimer, Signal, SignalInstance

from tinysnitch.client.desktop_entries import DesktopEntries
from tinysnitch.client.process_ends import ProcessEnds
from tinysnitch.client.program_files import ProgramFiles
from tinysnitch.client.user_names import find_user
from tinysnitch.core.model.process import program_of
from tinysnitch.qt.group_panel import COLUMNS, ROWS
from tinysnitch.qt.prompt_window import PromptWindow
from tinysnitch.view.help_view import help_pages
from tinysnitch.view.key_piece import KeyPiece, TypedKey
from tinysnitch.view.keys import KEYS, WINDOW_KEYS
from tinysnitch.view.lookup import FindFile, Lookup
from tinysnitch.view.pages.tabs import PageName, find_page, key_of
from tinysnitch.view.prompt_events import (
    Event,
    KeyPressed,
    Leave,
    LineChanged,
    ListSized,
    QuestionOpened,
    RowPointed,
    TextPasted,
    ToDaemon,
)
from tinysnitch.view.prompt_state import Page, PromptState
from tinysnitch.view.prompt_view import KeyHint, PromptView, present_prompt

TICK_MS = 500  # between two steps of the countdown
LET_GO_S = 2.0  # to wait at most for the release of keys, which we may not be told of
LOOK_MS = 30  # between two looks whether they are released


OpenPage = Callable[[PageName, str | None], None]  # and the program that its row of is selected
_PAGES = tuple(PageName)
_LIVE = KeyHint(key_of(PageName.LIVE).upper(), "what else it does")


class AnswerLink(Protocol):
    """The daemon link, or the demo."""

    def answer(self, given: ToDaemon) -> None: ...


class _Bell(QObject):
    """A signal that any thread may emit, and that arrives in Qt's thread."""

    rung = Signal()


def _ring(rung: SignalInstance) -> None:
    with suppress(RuntimeError):  # the application has ended, and Qt deleted the bell
        rung.emit()


class PromptAgent:
    def __init__(
        self,
        window: PromptWindow,
        delay_s: float | None,
        leave: Callable[[], None] | None = None,
        find_file: FindFile | None = None,
    ) -> None:
        self.link: AnswerLink | None = None
        self.open_page: OpenPage | None = None  # where there are pages beside the questions
        self.tell_waiting: Callable[[int], None] = lambda _count: None  # how many questions wait
        self.state = PromptState(delay_s)
        self.state.handle(ListSized(COLUMNS, ROWS), 0.0)
        self._window = window
        self._bell = _Bell()
        find_file = find_file or ProgramFiles(partial(_ring, self._bell.rung)).find
        self._lookup = Lookup(find_user, find_file, ProcessEnds().has_ended, DesktopEntries().find)
        self._leave = leave  # None: leaving only hides the window
        self._help = help_pages(KEYS if leave else WINDOW_KEYS)
        self._is_left = False
        self._piece = KeyPiece()
        self._piece_timer = _timer(0, self._end_piece, is_single=True)
        self._show_timer = _timer(0, self._show, is_single=True)
        self._ticker = _timer(TICK_MS, self._show, is_single=False)
        self._ready_timer = _timer(0, self._show, is_single=True)
        self._hide_timer = _timer(LOOK_MS, self._show, is_single=True)
        self._hide_by_s = math.inf  # when the window is hidden at the latest
        self._bell.rung.connect(self._show, Qt.ConnectionType.QueuedConnection)
        window.pressed.connect(self.press)
        window.clicked.connect(self.click)
        window.focused.connect(self._note_focused)
        window.pasted.connect(self.paste)
        window.edited.connect(self.change_line)
        window.pointed.connect(self.point)
        window.touched.connect(self.touch)
        window.closed.connect(self._hide_or_leave)
        window.painted.connect(self._note_painted)

    def tell(self, event: Event) -> None:
        """Take an event of the link."""
        self._look_at_clocks()
        if self._is_left and isinstance(event, QuestionOpened) and event.prompt.prompt_id not in self.state.questions:
            self._come_back()
        self.state.handle(event, time.monotonic())
        self.tell_waiting(self.state.questions.waiting_count)
        self._show_timer.start()  # shows once for all events that come together

    def press(self, name: str, typed_s: float) -> None:
        """A key was typed."""
        self._type(KeyPressed(name), typed_s)

    def click(self, name: str, at_s: float) -> None:
        """A key that the window shows was clicked."""
        self._type(KeyPressed(name, is_click=True), at_s)

    def paste(self, text: str, typed_s: float) -> None:
        self._take(self._piece.take())  # first what was typed before it
        if self._is_needed:
            self._advance(TextPasted(text), typed_s)

    def change_line(self, text: str, cursor: int) -> None:
        """The edited line was changed by other means than keys."""
        self._advance(LineChanged(text, cursor), time.monotonic())

    def point(self, prompt_id: int, at_s: float) -> None:
        """A question of the list was clicked."""
        self._advance(RowPointed(prompt_id), at_s)

    def touch(self, at_s: float) -> None:
        """The window was clicked beside its keys: who does that means it with the next key."""
        self.state.guard.note_click(at_s)
        self._show()

    def _type(self, key: KeyPressed, typed_s: float) -> None:
        page = find_page(key.name, PageName.QUESTIONS, _PAGES)
        if page and self.open_page:  # such a key answers nothing
            question = self.state.selected
            self.open_page(page, program_of(question.prompt.connection.attribution) if question else None)
            return
        self.state.guard.note_awake(time.monotonic())
        self._take(self._piece.press(key, typed_s, self.state))

    def _end_piece(self) -> None:
        self._take(self._piece.end(time.monotonic()))

    def _take(self, keys: list[TypedKey]) -> None:
        """Handle keys that count. Others may still wait in the piece for what comes with them."""
        for one in keys:
            if self._is_needed:  # else the window is about to be hidden
                self._advance(one.key, one.typed_s)
        self._piece_timer.stop()
        wait_s = self._piece.wait(time.monotonic())
        if wait_s is not None:
            self._piece_timer.start(int(wait_s * 1000))
        if keys or not self._piece.holds_keys:  # else nothing has changed, and showing it would delay what comes next
            self._show()

    def _advance(self, event: Event, now: float) -> None:
        self._look_at_clocks()
        effect = self.state.handle(event, now)
        if isinstance(effect, Leave):
            self._hide_or_leave()
        elif effect and self.link:
            self.link.answer(effect)
        self._show()

    def _look_at_clocks(self) -> None:
        boot_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        self.state.note_clocks(time.monotonic(), wall_s=time.time(), boot_s=boot_s)

    # coming and going

    def bring_back(self) -> None:
        """Show the questions again that were left."""
        if self._is_left and self.state.questions:
            self._come_back()
        self._show()

    def _come_back(self) -> None:
        """Begin a new state with the same questions, so that each takes keys only after its delay."""
        now = time.monotonic()
        self._is_left = False
        questions = self.state.questions
        self.state = self.state.begin_anew()
        for question in questions.values():
            left_s, age_s = max(0.0, question.deadline_s - now), now - question.opened_s
            prompt = msgspec.structs.replace(question.prompt, remaining_s=left_s, age_s=age_s)
            self.state.handle(QuestionOpened(prompt), now)

    def _hide_or_leave(self) -> None:
        if self._leave:
            self._leave()
        self._is_left = True
        self._show()

    def _note_painted(self) -> None:
        if self._window.isVisible() and not self._show_timer.isActive():  # else it does not show the latest news yet
            self.state.guard.note_painted(time.monotonic())
            self._wait_until_ready()

    def _note_focused(self) -> None:
        self.state.guard.note_keyboard(time.monotonic())
        self._show_timer.start()

    # showing

    def _show(self) -> None:
        self._show_timer.stop()
        if not self._is_needed:
            self._hide()
            return
        self._hide_by_s = math.inf
        self._look_at_clocks()
        self.state.guard.note_awake(time.monotonic())
        view = self._view()
        self._window.take_settings(self.state.settings)
        self._window.is_editor = self.state.page is Page.EDIT
        self._window.is_list = view.group is not None
        if help_page := self._help.get(self.state.page):
            self._window.show_help(*help_page, view)
        else:
            self._window.show_view(view)
        if not self._window.isVisible():
            self.state.guard.note_appeared()
            self._window.appear()
        if not self._ticker.isActive():
            self._ticker.start()
        self._wait_until_ready()

    @property
    def _is_needed(self) -> bool:
        return not self._is_left and (self.state.selected is not None or self.state.is_edit_lost)

    def _hide(self) -> None:
        self._ticker.stop()
        self._ready_timer.stop()
        now = time.monotonic()
        self._hide_by_s = min(self._hide_by_s, now + LET_GO_S)
        if self._window.isVisible() and self._window.is_key_down and now < self._hide_by_s:
            self._hide_timer.start()
        else:
            self._window.hide()
            self._hide_by_s = math.inf
            self.state.page = Page.QUESTION  # close the help, which would hide the next question

    def _view(self) -> PromptView:
        view = present_prompt(self.state, time.monotonic(), self._lookup)
        if self.open_page is None or view.edit or view.group or not view.everyday:
            return view
        *rows, others = view.everyday
        return msgspec.structs.replace(view, everyday=(*rows, (*others[:-1], _LIVE, *others[-1:])))

    def _wait_until_ready(self) -> None:
        """Show again when keys begin to count."""
        left_s = (self.state.next_change_s() or 0.0) - time.monotonic()
        if left_s > 0:
            self._ready_timer.start(int(left_s * 1000) + 1)


def _timer(interval_ms: int, act: Callable[[], None], *, is_single: bool) -> QTimer:
    timer = QTimer()
    timer.setInterval(interval_ms)
    timer.setSingleShot(is_single)
    timer.timeout.connect(act)
    return timer
