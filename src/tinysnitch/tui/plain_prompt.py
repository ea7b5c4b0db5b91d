"""The prompt without Textual: for `tinysnitch run`, screen readers and dumb terminals.

It prints plain lines. As the guest of a command it draws the page on the terminal's second screen where there is one:
only while a question is open, and then the command stands still.
"""

import asyncio
import os
import shlex
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from tinysnitch.client.process_ends import ProcessEnds
from tinysnitch.client.program_files import ProgramFiles
from tinysnitch.client.prompt_settings import read_delay_s
from tinysnitch.client.user_names import find_user
from tinysnitch.tui.alarm import Alarm
from tinysnitch.tui.daemon_link import DaemonLink
from tinysnitch.tui.further_prompts import FurtherQuestions
from tinysnitch.tui.keyboard import CURSOR_REPORT, KeyReader
from tinysnitch.tui.page import PageDrawer
from tinysnitch.tui.paint_report import PaintReport
from tinysnitch.tui.plain_lines import (
    INDENT,
    begin_edit_lines,
    cursor_lines,
    edit_lines,
    fact_lines,
    help_lines,
    question_lines,
    ready_line,
    render_edit,
    rule_lines,
)
from tinysnitch.tui.second_screen import SecondScreen
from tinysnitch.tui.terminal import DUMB, Terminal, stop_job
from tinysnitch.view.edit_view import EditView, present_edit
from tinysnitch.view.escape import escape_text
from tinysnitch.view.help_view import help_pages
from tinysnitch.view.key_piece import KeyPiece, TypedKey
from tinysnitch.view.keys import KEYS, OWN_KEYS, is_answer, is_of_text
from tinysnitch.view.lookup import Lookup
from tinysnitch.view.prompt_events import (
    AnswerRefused,
    Event,
    KeyPressed,
    Leave,
    ListSized,
    NoticeGiven,
    QuestionClosed,
    ScreenRegained,
)
from tinysnitch.view.prompt_state import Page, PromptState
from tinysnitch.view.prompt_view import PromptView, present_prompt

LIST_ROWS = 1_000_000  # what is printed can be scrolled back to, so that all of a list is in sight
SHOW_S = 0.05  # to collect news: of a hundred questions that end together only the last is read out
REST_S = 0.05  # to wait for the rest of a key of which the beginning was read
LOOK_S = 1.0  # between two looks whether the process that asks has ended, or further questions have come
_LEAVE_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)


class Host(Protocol):
    """The command whose guest we are."""

    signalled: Callable[[], None]  # which it calls when it got a signal, before it goes on

    def pause(self, is_paused: bool, /) -> None:
        """Have it stand still, or go on."""


async def run_plain_prompt(
    socket_path: str,
    tty_path: str = "/dev/tty",
    *,
    delay_s: float | None = None,
    host: Host | None = None,
    is_plain: bool = True,
) -> int:
    """Ask until the person leaves, the terminal is gone or a signal comes. Returns the exit code. Raises SnitchError.

    `host`: the terminal belongs to this command, and is taken only while a question is open; signals that would end us
    are left to the command. It stands still if it reads the same keys, or must not write. `is_plain`: print lines,
    whatever the terminal can.
    """
    delay_s = read_delay_s(os.environ) if delay_s is None else delay_s
    with Terminal(tty_path) as terminal:
        screen = SecondScreen(terminal) if host and not is_plain else None
        prompt = PlainPrompt(socket_path, terminal, delay_s, host=host, screen=screen)
        with _signals_handled(prompt, is_guest=host is not None):
            return await prompt.run()


class PlainPrompt:
    def __init__(
        self,
        socket_path: str,
        terminal: Terminal,
        delay_s: float | None,
        *,
        host: Host | None = None,
        screen: SecondScreen | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._terminal = terminal
        self._host = host
        self._is_guest = is_guest = host is not None
        if host:
            host.signalled = self._let_go_on
        self._screen = screen
        is_dumb = os.environ.get("TERM", DUMB) in (DUMB, "")  # it would print the request for its cursor
        # No report for a guest: the terminal might answer when the command reads it again.
        self._report = None if is_guest or is_dumb else PaintReport(terminal.write, self._note_seen)
        self._state = PromptState(delay_s, is_guest=is_guest)
        self._state.handle(ListSized(max(1, terminal.width() - INDENT), LIST_ROWS), 0.0)
        self._socket_path = socket_path
        self._link = DaemonLink(socket_path, self._tell)
        self._lookup = Lookup(find_user, ProgramFiles(self._file_found).find, ProcessEnds().has_ended)
        self._drawer = PageDrawer(self._state, self._lookup)
        self._help = help_pages(OWN_KEYS if is_guest else KEYS, is_plain=True)
        self._told: set[str] = set()  # facts of the question in sight that were printed
        self._further = FurtherQuestions()
        self._end: asyncio.Future[int] = self._loop.create_future()
        self._is_ending = False
        self._is_told_ready = True  # it was printed that keys count
        self._keys = KeyReader()
        self._read_s = 0.0  # when keys were last read
        self._piece = KeyPiece()
        self._ready_alarm = Alarm(self._say_ready)
        self._rest_alarm = Alarm(self._end_rest)
        self._piece_alarm = Alarm(self._end_piece)
        self._look_alarm = Alarm(self._show)
        self._show_alarm = Alarm(self._show)
        self._asked_s = 0.0  # when the question was printed
        self._shown: tuple[object, ...] = ()  # page and question that were printed last
        self._shown_choice: object = None
        self._shown_at: object = ()  # where the cursor of the list was, and what was left out
        self._shown_edit: EditView | None = None  # the edited line that the cursor stands in; None: in a new row
        self._shown_notice = ""

    async def run(self) -> int:
        follow = asyncio.create_task(self._link.run())
        try:
            if not self._is_guest:
                self._hold()
            ends: set[asyncio.Future[None] | asyncio.Future[int]] = {follow, self._end}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not self._end.done():
                follow.result()  # raises the SnitchError that ended it
            return self._end.result()
        finally:
            self._is_ending = True
            self._release()
            for alarm in (self._ready_alarm, self._rest_alarm, self._piece_alarm, self._look_alarm, self._show_alarm):
                alarm.set(None)
            await self._link.finish()
            follow.cancel()
            await asyncio.gather(follow, return_exceptions=True)

    def leave(self, status: int = 0) -> None:
        if not self._end.done():
            self._end.set_result(status)

    def suspend(self) -> None:
        """Ctrl-Z: restore the terminal for the shell, stop, and take the terminal again once we are continued."""
        was_held = self._terminal.is_held
        self._release()
        stop_job(os.getpid(), *(() if self._is_guest else _LEAVE_SIGNALS))
        if was_held and (self._terminal.is_ours or not self._is_guest):
            self._hold()
        self._advance(ScreenRegained(), time.monotonic())
        self._shown, self._shown_edit = (), None
        self._show()

    # keys and news

    def _tell(self, event: Event) -> None:
        closed = self._state.questions.get(event.prompt_id) if isinstance(event, QuestionClosed) else None
        if closed and not closed.is_sent:
            self._shown_notice = ""  # its end is told also if the last one ended in the same words
        self._advance(event, time.monotonic())
        is_of_answer = isinstance(event, NoticeGiven | AnswerRefused)  # at the end only news of our answers are told
        is_in_lines = self._shown_edit is None and not (self._screen and self._screen.is_taken)
        if is_of_answer if self._is_ending else is_in_lines:
            self._tell_notice(escape_text(self._state.notice))
        if not self._show_alarm.is_set and not self._is_ending:
            self._show_alarm.set(SHOW_S)

    def _file_found(self) -> None:
        """Called in another thread."""
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._show)

    def _read_keys(self) -> None:
        self._read_s = time.monotonic()
        data = self._terminal.read()
        if not data:
            self.leave()
        self._press(self._keys.feed(data), self._read_s)
        self._rest_alarm.set(REST_S if self._keys.is_waiting else None)

    def _end_rest(self) -> None:
        self._press(self._keys.take(), self._read_s)

    def _let_go_on(self) -> None:
        """The command got a signal, and goes on though a question is open: what it writes must stay. If the signal does
        not end it, it is asked in lines from now on."""
        if self._screen and self._screen.is_taken:
            self._screen.leave()
            self._screen = None
            self._shown = ()
            self._look_alarm.set(LOOK_S)

    def _press(self, names: list[str], now: float) -> None:
        """Handle keys that were read. If it was not printed yet that keys count, they were typed before that, and count
        as typed when the question was printed, however late they are read."""
        if not self._is_told_ready and set(names) != {CURSOR_REPORT}:
            is_text, are_answers = any(map(is_of_text, names)), all(map(is_answer, names))
            self._state.guard.note_typing(now, is_text=is_text, is_answer=are_answers)
        for name in names:
            typed_s = now if self._is_told_ready else self._asked_s
            if name != CURSOR_REPORT:
                self._take(self._piece.press(KeyPressed(name), typed_s, self._state))
            elif self._report:
                self._report.note_answer()
        self._piece_alarm.set(self._piece.wait(time.monotonic()))
        self._show_taken(now)

    def _end_piece(self) -> None:
        now = time.monotonic()
        self._take(self._piece.end(now))
        self._piece_alarm.set(self._piece.wait(now))
        self._show_taken(now)

    def _take(self, keys: list[TypedKey]) -> None:
        """Handle keys that count. Others may still wait in the piece for what comes with them."""
        for one in keys:
            if self._screen and self._drawer.turn_page(one.key.name, *self._terminal.size()):
                continue
            self._advance(one.key, one.typed_s)
            if one.key.name == "enter" and self._state.page is Page.EDIT and not self._screen:
                self._tell_fault()

    def _show_taken(self, now: float) -> None:
        if self._state.selected and self._state.page is Page.QUESTION and not self._state.guard.is_ready(now):
            self._wait_until_ready(now)
        self._show()

    def _advance(self, event: Event, now: float) -> None:
        self._look_at_clocks()
        effect = self._state.handle(event, now)
        if isinstance(effect, Leave):
            self.leave()
        elif effect:
            self._link.answer(effect)

    def _look_at_clocks(self) -> None:
        boot_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._state.note_clocks(time.monotonic(), wall_s=time.time(), boot_s=boot_s)

    # the terminal

    def _hold(self) -> None:
        self._terminal.hold()
        # A command that waits for the next key would get it before us.
        if self._host and (self._screen or self._terminal.was_read_by_keys):
            self._host.pause(True)
        if self._screen:
            self._screen.take()
        self._loop.add_reader(self._terminal.fd, self._read_keys)

    def _release(self) -> None:
        if self._terminal.is_held:
            self._loop.remove_reader(self._terminal.fd)
            if self._screen:
                self._screen.leave()
            self._terminal.release()
            if self._host:
                self._host.pause(False)

    def _show(self) -> None:
        """Print what is new since the last time."""
        self._show_alarm.set(None)
        if self._is_ending:
            return
        self._look_at_clocks()
        view = present_prompt(self._state, time.monotonic(), self._lookup)
        if self._screen:
            self._show_on_screen(self._screen, view)
        else:
            self._print_news(view)
        self._note_written(view)

    def _show_on_screen(self, screen: SecondScreen, view: PromptView) -> None:
        """Draw the page while there is something to answer; else the terminal is the command's."""
        question = self._state.selected
        what = (self._state.page, question.prompt.prompt_id if question else view.title)
        if not (view.is_question or view.edit):
            self._release()
            self._tell_notice(escape_text(self._state.notice))
        elif not self._terminal.is_held and not self._terminal.is_ours:
            if what != self._shown:
                self._point_elsewhere(view)
        else:
            if not self._terminal.is_held:
                self._hold()
                self._state.guard.note_appeared()  # keys went to the command until now
            if what != self._shown and self._state.page is Page.QUESTION:
                self._asked_s = time.monotonic()
                self._wait_until_ready(self._asked_s)
            screen.paint(self._drawer.draw(*self._terminal.size()))
            self._shown_notice = escape_text(self._state.notice)
        self._shown = what
        self._look_alarm.set(LOOK_S if self._terminal.is_held else None)

    def _print_news(self, view: PromptView) -> None:
        notice = escape_text(self._state.notice)
        if self._shown_edit and (self._state.page is not Page.EDIT or notice != self._shown_notice):
            self._terminal.write("\n")
            self._shown_edit = None
        self._tell_notice(notice)
        selected = self._state.selected
        what = (selected.prompt.prompt_id, selected.prompt.connection) if selected else (view.title,)
        group = self._state.group
        choice = (selected.choice, group.ids if group else ()) if selected else None
        at = (group.cursor, group.left_out) if group else ()
        if (self._state.page, *what) != self._shown:
            self._shown = (self._state.page, *what)
            self._show_page(view)
        elif choice and choice != self._shown_choice:  # rule lines are not compared: the time in them changes
            self._terminal.write_lines(rule_lines(view))
        elif view.group and at != self._shown_at:
            self._terminal.write_lines(cursor_lines(view.group))
        self._shown_choice, self._shown_at = choice, at
        if self._is_asking(view):
            self._terminal.write_lines(self._further.tell(self._state.questions, time.monotonic()))
        self._tell_found(view)
        if view.edit and view.is_question:
            self._terminal.write(render_edit(self._shown_edit, view.edit, self._terminal.width()))
            self._shown_edit = view.edit
        self._look_again(view)

    def _note_written(self, view: PromptView) -> None:
        sight = self._state.guard.sight
        if self._terminal.is_held and (view.is_question or sight == 0):  # 0: find out whether it answers
            if self._report:
                self._report.note_written(sight)
            else:
                self._note_seen(sight)

    def _note_seen(self, sight: int) -> None:
        """The sight is on the terminal."""
        now = time.monotonic()
        if sight == self._state.guard.sight:  # else a newer sight has replaced it
            self._state.guard.note_painted(now)
            if self._state.selected and self._state.page is Page.QUESTION and not self._is_told_ready:
                self._wait_until_ready(now)

    def _tell_notice(self, notice: str) -> None:
        if notice and notice != self._shown_notice:
            self._terminal.write_lines([notice])
        self._shown_notice = notice

    def _tell_found(self, view: PromptView) -> None:
        """Print facts that were looked up since the question was printed; but not into a line that is edited, nor into
        the output of the command of `tinysnitch run`.
        """
        is_in_sight = view.is_question and self._state.page in (Page.QUESTION, Page.EDIT) and self._shown_edit is None
        if is_in_sight and self._terminal.is_held:
            found = [line for line in fact_lines(view) if line not in self._told]
            self._told.update(found)
            self._terminal.write_lines(found)

    def _look_again(self, view: PromptView) -> None:
        """Look again after a while whether the process that asks has ended, since nothing reports that."""
        self._look_alarm.set(LOOK_S if self._is_asking(view) else None)

    def _is_asking(self, view: PromptView) -> bool:
        return view.is_question and self._state.page is Page.QUESTION

    def _tell_fault(self) -> None:
        """Print what is wrong with the edited line. Only Enter calls this: while one types, a line is often wrong."""
        edit = present_edit(self._state.edit, time.time())
        if edit.fault and not self._state.is_edit_lost:
            self._terminal.write_lines(["", *edit_lines(edit)])
            self._shown_edit = None

    def _show_page(self, view: PromptView) -> None:
        if view.edit:
            lines = begin_edit_lines(view) if view.is_question else [f"{view.title}; Esc goes on"]
            self._terminal.write_lines(lines)
        elif help_of := self._help.get(self._state.page):
            _title, rows = help_of
            self._terminal.write_lines(help_lines(rows, view, is_guest=self._is_guest))
        elif view.is_question:
            self._ask(view)
        elif self._is_guest:
            self._release()
        elif self._state.questions.is_answering:  # what became of the answers is told once, when all are taken
            self._shown = ()
        else:
            self._terminal.write_lines([view.title])

    def _ask(self, view: PromptView) -> None:
        self._told = set(fact_lines(view))
        self._further.note_asked(self._state.questions, time.monotonic())
        if self._is_guest and not self._terminal.is_held:
            if not self._terminal.is_ours:  # the command is a shell, which has given the terminal to a job of its own
                return self._point_elsewhere(view)
            self._hold()
            self._state.guard.note_appeared()  # keys went to the command until now
        self._terminal.write_lines(question_lines(view))
        self._asked_s = time.monotonic()
        self._wait_until_ready(self._asked_s)

    def _wait_until_ready(self, now: float) -> None:
        self._is_told_ready = False
        ready_s = self._state.next_change_s()  # None: the question is not known to be on the screen yet
        self._ready_alarm.set(None if ready_s is None else max(0.0, ready_s - now))

    def _point_elsewhere(self, view: PromptView) -> None:
        where = f"tinysnitch prompt --socket {escape_text(shlex.quote(str(self._socket_path)))}"
        self._terminal.write_lines([f"{view.title}: answer it in another terminal with", f"  {where}"])

    def _say_ready(self) -> None:
        self._is_told_ready = True
        view = present_prompt(self._state, time.monotonic())
        if view.is_question and self._state.page is Page.QUESTION and self._terminal.is_held:
            self._terminal.flush_input()
            if self._screen:
                self._show()
            else:
                self._terminal.write_lines([ready_line(view)])


@contextmanager
def _signals_handled(prompt: PlainPrompt, *, is_guest: bool) -> Iterator[None]:
    """Have signals stop or end the prompt in order, so that the terminal is restored."""
    loop = asyncio.get_running_loop()
    ending = () if is_guest else _LEAVE_SIGNALS
    try:
        loop.add_signal_handler(signal.SIGTSTP, prompt.suspend)
        for number in ending:
            loop.add_signal_handler(number, prompt.leave, 0 if number == signal.SIGINT else 128 + number)
        yield
    finally:
        for number in (signal.SIGTSTP, *ending):
            loop.remove_signal_handler(number)
