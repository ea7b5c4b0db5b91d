"""The prompt that fills the terminal: a question is answered with one key, which can also be clicked."""

import asyncio
import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget

from tinysnitch.client.control_client import ControlClient
from tinysnitch.client.local_time import tell_time
from tinysnitch.client.packaged_catalogue import read_catalogue
from tinysnitch.client.process_ends import ProcessEnds
from tinysnitch.client.program_files import ProgramFiles
from tinysnitch.client.prompt_settings import read_delay_s
from tinysnitch.client.user_names import find_user
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.tui.alarm import Alarm
from tinysnitch.tui.daemon_link import DaemonLink, LogLink
from tinysnitch.tui.paint_report import PaintReport
from tinysnitch.tui.plain_prompt import run_plain_prompt
from tinysnitch.tui.prompt_widget import PromptWidget
from tinysnitch.tui.terminal import DUMB, claim_terminal, stop_job, takes_output
from tinysnitch.tui.terminal_driver import TerminalDriver, find_screen
from tinysnitch.view.help_view import HelpRow
from tinysnitch.view.key_piece import KeyPiece, TypedKey
from tinysnitch.view.lookup import Lookup
from tinysnitch.view.prompt_events import (
    DecisionsTold,
    Event,
    KeyPressed,
    Leave,
    RowPointed,
    ScreenRegained,
    TextPasted,
)
from tinysnitch.view.prompt_state import PromptState

LOG_S = 0.25  # between two drawings of the last decisions
TICK_S = 1.0  # between two steps of the countdown
HANGUP_S = 2.0  # to leave in order, once the terminal is gone
HUNG_UP = 128 + signal.SIGHUP
_LEAVE_SIGNALS = (signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)


class PromptScreen(Screen[None], inherit_bindings=False):
    """A screen on which Textual uses no key itself: all are ours, Tab and Ctrl-C, too."""

    AUTO_FOCUS: ClassVar[str | None] = ""


class PromptApp(App[None], inherit_bindings=False):
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False  # to select text the mouse is the terminal's own while Shift is held
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+z", "suspend_process", priority=True)]
    CSS = """
    Screen { background: ansi_default; color: ansi_default; }
    PromptWidget { width: 100%; height: 1fr; }
    """

    more_help: ClassVar[tuple[HelpRow, ...]] = ()  # keys that are not the prompt's

    def __init__(self, socket_path: str, delay_s: float | None) -> None:
        super().__init__(TerminalDriver, ansi_color=True)  # the terminal's own background and text, dark or light
        self.state = PromptState(delay_s)
        self.failure: SnitchError | None = None
        self.state.recent.catalogue = read_catalogue()
        self._link = DaemonLink(socket_path, self.tell)
        self._log_link = LogLink(socket_path, self._tell_log)
        files, ends = ProgramFiles(self._file_found), ProcessEnds()
        self._lookup = Lookup(find_user, files.find, ends.has_ended, tell_time=tell_time)
        self._widget = PromptWidget(self.state, self._lookup, self._note_painted, self.more_help)
        self._report = PaintReport(self._write, self._note_seen, lambda: takes_output(find_screen()))
        self._piece = KeyPiece()
        self._piece_alarm = Alarm(self._end_piece)
        self._ready_alarm = Alarm(self._redraw)
        self._log_alarm = Alarm(self._draw_soon)
        self._ticker: Timer | None = None
        self._is_drawing_due = False

    def get_default_screen(self) -> PromptScreen:
        return PromptScreen()

    @property
    def shows_questions(self) -> bool:
        """Whether the prompt is in sight, so that keys are for it."""
        return True

    def widgets(self) -> tuple[Widget, ...]:
        """From the top of the screen to its end."""
        return (self._widget,)

    async def on_mount(self) -> None:
        self._own_loop = asyncio.get_running_loop()
        self._watch_terminal()
        for number in _LEAVE_SIGNALS:  # exit() restores the terminal
            asyncio.get_running_loop().add_signal_handler(number, self.exit, None, 128 + number)
        await self.screen.mount(*self.widgets())
        self.app_resume_signal.subscribe(self, self._regain_screen, immediate=True)
        self.run_worker(self._follow_daemon(), exit_on_error=True)
        self.run_worker(self._log_link.run(), exit_on_error=True)
        self.begin()

    def begin(self) -> None:
        """The widgets are there, and the loop runs."""

    def _watch_terminal(self) -> None:
        """Leave once the terminal is gone. SIGHUP is not enough: only the session's leader gets it (setsid(2))."""
        if os.isatty(0):
            threading.Thread(target=self._wait_hangup, daemon=True).start()

    def _wait_hangup(self) -> None:
        """Runs in a thread of its own: the loop itself may be stuck writing to a terminal that took no output before it
        went. poll(2) reports POLLHUP even if no event is asked for.
        """
        hangup = select.poll()
        hangup.register(0, 0)
        hangup.poll()
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._own_loop.call_soon_threadsafe(self.exit, None, HUNG_UP)
        time.sleep(HANGUP_S)
        os._exit(HUNG_UP)  # the terminal is gone, and needs no restoring

    async def _follow_daemon(self) -> None:
        try:
            await self._link.run()
        except SnitchError as error:
            self.failure = error
            self.exit()

    def on_key(self, event: events.Key) -> None:
        event.stop()
        self.press(KeyPressed(event.key, event.character or ""), event.time)

    def press(self, key: KeyPressed, typed_s: float) -> None:
        """A key counts from when it was typed, not from when we read it."""
        self.state.guard.note_awake(time.monotonic())
        if self._widget.turn_page(key.name):
            self._widget.redraw()
            return
        self._take(self._piece.press(key, typed_s, self.state))

    def _take(self, keys: list[TypedKey]) -> None:
        """Handle keys that count. Others may still wait in the piece for what comes with them."""
        for one in keys:
            self._advance(one.key, one.typed_s)
        self._piece_alarm.set(self._piece.wait(time.monotonic()))
        if keys or not self._piece.holds_keys:  # else nothing has changed, and drawing would delay what comes next
            self._draw_soon()

    def _end_piece(self) -> None:
        self._take(self._piece.end(time.monotonic()))

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        self.paste(event.text, event.time)

    def paste(self, text: str, typed_s: float) -> None:
        self._take(self._piece.take())  # first what was typed before it
        self._advance(TextPasted(text), typed_s)

    def on_click(self, event: events.Click) -> None:
        self.click(int(event.screen_x), int(event.screen_y))

    def click(self, column: int, row: int) -> None:
        if name := self._widget.key_at(column, row):
            self._press_by_mouse(KeyPressed(name, is_click=True))
        elif (prompt_id := self._widget.question_at(column, row)) is not None:
            self.tell(RowPointed(prompt_id))

    def on_mouse_scroll_down(self, _event: events.MouseScrollDown) -> None:
        self.turn_wheel(1)

    def on_mouse_scroll_up(self, _event: events.MouseScrollUp) -> None:
        self.turn_wheel(-1)

    def turn_wheel(self, step: int) -> None:
        """One notch down, or with -1 up."""
        if self._widget.scroll_help(step):
            self._widget.redraw()
        else:
            self._press_by_mouse(wheel_key(step))

    def _press_by_mouse(self, clicked: KeyPressed) -> None:
        """Handle what the mouse did, which is no key of a text."""
        self._take([*self._piece.take(), TypedKey(clicked, time.monotonic())])

    def action_suspend_process(self) -> None:
        """Ctrl-Z: stop the whole job, with the `make` that started us, if a shell can continue it.

        Textual's own action would stop this process alone, even if no shell can ever continue it.
        """
        with self.suspend():
            stop_job(0, *_LEAVE_SIGNALS)

    def _regain_screen(self, _app: App[None]) -> None:
        """After Ctrl-Z, or after SIGSTOP."""
        self.tell(ScreenRegained())
        self._widget.refresh()  # all rows: others wrote to the screen

    def tell(self, event: Event) -> None:
        self._advance(event, time.monotonic())

    def _tell_log(self, event: Event) -> None:
        """Decisions may come by the thousand: they are drawn a few times a second, and not behind a question."""
        if not isinstance(event, DecisionsTold):
            self.tell(event)
            return
        self.state.handle(event, time.monotonic())
        if self.shows_questions and self.state.selected is None and not self._log_alarm.is_set:
            self._log_alarm.set(LOG_S)

    def on_cursor_position(self, _event: events.CursorPosition) -> None:
        self._report.note_answer()

    def _write(self, text: str) -> None:
        if self._driver:
            self._driver.write(text)
            self._driver.flush()

    def on_app_focus(self) -> None:
        """The terminal got the focus: the question counts as new, since the person may have typed elsewhere until now,
        and may not have seen it."""
        self.tell(ScreenRegained())

    def _advance(self, event: Event, now: float) -> None:
        self._look_at_clocks()
        effect = self.state.handle(event, now)
        if isinstance(effect, Leave):
            self.run_worker(self._leave())
        elif effect:
            self._link.answer(effect)
        self._draw_soon()

    def _look_at_clocks(self) -> None:
        boot_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        self.state.note_clocks(time.monotonic(), wall_s=time.time(), boot_s=boot_s)

    async def _leave(self) -> None:
        await self._link.finish()
        self.exit()

    def _draw_soon(self) -> None:
        if not self._is_drawing_due:  # news that come together are drawn once
            self._is_drawing_due = True
            asyncio.get_running_loop().call_soon(self._draw)

    def _draw(self) -> None:
        self._is_drawing_due = False
        self._redraw()
        self._set_ticker()

    def _redraw(self) -> None:
        self._look_at_clocks()
        self.state.guard.note_awake(time.monotonic())
        self.draw()

    def draw(self) -> None:
        """Draw what is in sight as it is now."""
        self._widget.redraw()

    def _file_found(self) -> None:
        """Called in another thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._own_loop.call_soon_threadsafe(self._redraw)

    def _set_ticker(self) -> None:
        """Tick while a question is in sight, or a pause; else not, so that an idle prompt needs no processor."""
        if not self.state.is_counting_down and self._ticker:
            self._ticker.stop()
            self._ticker = None
        elif self.state.is_counting_down and self._ticker is None:
            self._ticker = self.set_interval(TICK_S, self._redraw)

    def _note_painted(self) -> None:
        if self._is_drawing_due or not self.shows_questions:  # what was painted does not show the latest news yet
            return
        is_unseen = self.state.takes_answers and self.state.next_change_s() is None
        if is_unseen or self.state.guard.sight == 0:  # 0: ask before the first question whether this terminal answers
            self.call_after_refresh(self._report.note_written, self.state.guard.sight)
        self._draw_when_ready()

    def _note_seen(self, sight: int) -> None:
        if sight == self.state.guard.sight:  # else a newer sight has replaced it
            self.state.guard.note_painted(time.monotonic())
            self._draw_when_ready()

    def _draw_when_ready(self) -> None:
        """Draw once more when keys begin to count."""
        now = time.monotonic()
        ready_s = self.state.next_change_s()
        self._ready_alarm.set(ready_s - now if ready_s is not None and ready_s > now else None)


def wheel_key(step: int) -> KeyPressed:
    return KeyPressed("wheel down" if step > 0 else "wheel up", is_click=True)


MakeApp = Callable[[str, float | None], PromptApp]  # of the path of the socket, and the person's delay


def has_screen() -> bool:
    """Whether there is a terminal that can be filled."""
    return os.environ.get("TERM") != DUMB and os.isatty(0) and os.isatty(find_screen())


def run_prompt(socket_path: str, plain: bool, make_app: MakeApp | None = None) -> int:
    """Show the prompt until the person leaves it, and return the exit code. Raises SnitchError."""
    delay_s = read_delay_s(os.environ)
    ControlClient(socket_path).close()  # raises if there is no daemon, before the screen is taken
    if plain or os.environ.get("TERM") == DUMB:
        return asyncio.run(run_plain_prompt(socket_path, delay_s=delay_s))
    if not has_screen():
        # The hint names tinysnitchd, too: the daemon of `make run` ends with this error, and the two commands need one.
        hint = "without one, start `tinysnitchd`, and use `tinysnitch asks` and `tinysnitch answer`"
        raise SnitchError("the prompt needs a terminal", hint)
    claim_terminal(0)
    app = (make_app or PromptApp)(socket_path, delay_s)
    app.run()
    if app.failure:
        raise app.failure
    return app.return_code or 0
