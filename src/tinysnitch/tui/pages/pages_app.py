"""The prompt's app with further pages, and a line of tabs above.

1. Keys go to the page that is in sight, and to no other. Those that switch answer nothing, wherever they are pressed.
2. While another page is in sight, the question is not: it counts as new when its page comes back, and a key that is
   still held then does nothing (view/key_guard.py).
3. A question that waits meanwhile is a line on top.
"""

import contextlib
import os
import time
from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.widget import Widget

from tinysnitch.client.request_queue import Outcome, RequestQueue
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.process import program_of
from tinysnitch.protocol.messages import Request
from tinysnitch.tui.alarm import Alarm
from tinysnitch.tui.encoding import fit_columns, terminal_encoding
from tinysnitch.tui.help_screen import render_help
from tinysnitch.tui.pages.history_screen import draw_history, draw_names
from tinysnitch.tui.pages.live_screen import draw_live
from tinysnitch.tui.pages.rules_screen import draw_rules
from tinysnitch.tui.pages.top_line import call_row, tab_row
from tinysnitch.tui.pages.traffic_watch import TrafficWatch
from tinysnitch.tui.prompt_app import PromptApp, has_screen, run_prompt, wheel_key
from tinysnitch.tui.rows_widget import RowsWidget
from tinysnitch.view.help_view import HelpRow
from tinysnitch.view.live.live_page import LivePage
from tinysnitch.view.pages.call import present_call
from tinysnitch.view.pages.history_page import HistoryPage
from tinysnitch.view.pages.list_page import PAGES_HELP, ListPage
from tinysnitch.view.pages.names_page import NamesPage
from tinysnitch.view.pages.rules_page import RulesPage
from tinysnitch.view.pages.tabs import PageName, find_page, present_tabs
from tinysnitch.view.prompt_events import Event, KeyPressed, QuestionClosed, ScreenRegained
from tinysnitch.view.prompt_view import PromptView

LEAST_ROWS = 15  # of a terminal that shows the tabs above a question, which needs 14 itself
_LEAVE_AT_ONCE = "ctrl+c"
_LEAVE = (_LEAVE_AT_ONCE, "q")
_NO_QUESTION = PromptView(sentence=(), is_question=False)
Draw = Callable[[float, int, int], list[Text]]  # at a time, so many columns and rows


class PagesApp(PromptApp):
    CSS = f"""
    {PromptApp.CSS}
    RowsWidget {{ width: 100%; height: 1fr; }}
    #top {{ height: 1; }}
    """

    more_help: ClassVar[tuple[HelpRow, ...]] = (PAGES_HELP,)

    def __init__(self, socket_path: str, delay_s: float | None, first: PageName = PageName.QUESTIONS) -> None:
        super().__init__(socket_path, delay_s)
        rules, live, history, names = RulesPage(), LivePage(), HistoryPage(), NamesPage()
        self._live = live
        self._pages: dict[PageName, tuple[ListPage, Draw]] = {
            PageName.LIVE: (live, lambda *place: draw_live(live, self._lookup, *place)),
            PageName.HISTORY: (history, lambda *place: draw_history(history, self._lookup, *place)),
            PageName.NAMES: (names, lambda *place: draw_names(names, *place)),
            PageName.RULES: (rules, lambda *place: draw_rules(rules, *place)),
        }
        self.on_page = first
        self._traffic = TrafficWatch(socket_path, live.see, self._draw_soon)
        self._requests = RequestQueue(socket_path, self._post, self._take_outcome)
        self._again = Alarm(self._open_again)
        self._top = RowsWidget(self._draw_top)
        self._top.id = "top"
        self._body = RowsWidget(self._draw_body)

    @property
    def shows_questions(self) -> bool:
        return self.on_page is PageName.QUESTIONS

    @property
    def page(self) -> ListPage | None:
        """The one in sight; None: the questions are."""
        found = self._pages.get(self.on_page)
        return found[0] if found else None

    @property
    def page_names(self) -> tuple[PageName, ...]:
        return tuple(name for name in PageName if name is PageName.QUESTIONS or name in self._pages)

    def widgets(self) -> tuple[Widget, ...]:
        return (self._top, *super().widgets(), self._body)

    def begin(self) -> None:
        self._lay_out()
        self._open()

    # keys

    def press(self, key: KeyPressed, typed_s: float) -> None:
        if (page := find_page(key.name, self.on_page, self.page_names)) is not None:
            self._switch(page)
        elif self.page is None:
            super().press(key, typed_s)
        else:
            self._press_on_page(self.page, key, typed_s)

    def _press_on_page(self, page: ListPage, key: KeyPressed, typed_s: float) -> None:
        self.state.guard.note_elsewhere(key.name, typed_s)
        if key.name == _LEAVE_AT_ONCE or (key.name in _LEAVE and not page.takes_text and not page.is_help):
            self.run_worker(self._leave())
            return
        self._prepare(page)
        self._requests.ask(page, page.press(key, typed_s))
        self._draw_soon()

    def paste(self, text: str, typed_s: float) -> None:
        if self.page is None:
            super().paste(text, typed_s)
        else:
            self.page.paste(text)
            self._draw_soon()

    def click(self, column: int, row: int) -> None:
        if name := self._top.key_at(column, row):
            self.press(KeyPressed(name, is_click=True), time.monotonic())
        elif self.page is None:
            super().click(column, row)
        elif name := self._body.key_at(column, row):
            self._press_on_page(self.page, KeyPressed(name, is_click=True), time.monotonic())

    def turn_wheel(self, step: int) -> None:
        if self.page is None:
            super().turn_wheel(step)
        else:
            self._press_on_page(self.page, wheel_key(step), time.monotonic())

    def _switch(self, page: PageName) -> None:
        if page is self.on_page:
            return
        self._piece.take()  # what was typed just before is for the page that goes
        if page is PageName.LIVE and self.shows_questions and self.state.selected:  # what else does that program do?
            self._live.point_to(program_of(self.state.selected.prompt.connection.attribution))
        self.on_page = page
        self._lay_out()
        self.tell(ScreenRegained())  # to the questions: they are new, or out of sight
        self._open()
        self._draw_soon()

    def _open(self) -> None:
        self._traffic.watch(is_on=self.on_page is PageName.LIVE)
        if self.page is not None:
            self._prepare(self.page)
            self._requests.ask(self.page, self.page.open(time.monotonic()))
        self._again.set(self.page.again_s if self.page else None)

    def _open_again(self) -> None:
        """Read what others may have changed, once what was asked before is answered."""
        if self.page and self.state.is_connected and not self._requests.is_running:
            self._open()
        else:
            self._again.set(self.page.again_s if self.page else None)

    def _prepare(self, page: ListPage) -> None:
        """What the page needs to know of us."""
        self._look_at_clocks()
        page.wall_ahead_s = self.state.wall_ahead_s
        page.own_uid = os.geteuid()
        page.uid = os.getuid() if self.state.recent.is_for_user else None
        page.delay_s = self.state.guard.delay_s
        page.room = self._body.size.height // 2

    def tell(self, event: Event) -> None:
        super().tell(event)
        if isinstance(event, QuestionClosed) and self.page is not None:  # its answer may have made a rule
            self._open()

    def _post(self, act: Callable[[], None]) -> None:
        """Called in another thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._own_loop.call_soon_threadsafe(act)

    def _take_outcome(self, page: ListPage, request: Request, outcome: Outcome) -> None:
        refused = outcome if isinstance(outcome, SnitchError) else None
        replies = outcome if isinstance(outcome, tuple) else ()
        self._requests.ask(page, page.refuse(request, refused) if refused else page.take(request, replies))
        self._draw_soon()

    # what is in sight

    def _lay_out(self) -> None:
        self._widget.display = self.shows_questions
        self._body.display = not self.shows_questions

    def draw(self) -> None:
        is_called = not self.shows_questions and self.state.selected is not None
        has_tabs = self.size.height >= LEAST_ROWS or not self.shows_questions
        self._top.styles.height = int(has_tabs) + int(is_called)
        self._top.redraw()
        if self.page is None:
            super().draw()
        else:
            self._body.redraw()

    def _draw_top(self, width: int, height: int) -> list[Text]:
        call = None if self.shows_questions else present_call(self.state, time.monotonic())
        rows = [tab_row(present_tabs(self.on_page, self.page_names), width)]
        return _fit([*rows, *([call_row(call, width)] if call else [])][:height])

    def _draw_body(self, width: int, height: int) -> list[Text]:
        found = self._pages.get(self.on_page)
        if found is None:
            return []
        page, draw = found
        self._prepare(page)
        if page.is_help:
            text = render_help(f"keys of {page.name.value}", page.help_rows(), width, height, view=_NO_QUESTION)
            return _fit(list(text.split("\n", allow_blank=True)))
        return _fit(draw(time.monotonic(), width, height))


def _fit(rows: list[Text]) -> list[Text]:
    """The rows in characters that the terminal can show."""
    for row in rows:
        row.plain = fit_columns(row.plain, terminal_encoding())
    return rows


def run_pages(socket_path: str, first: PageName = PageName.QUESTIONS) -> int:
    """Show the pages until the person leaves, and return the exit code. Raises SnitchError."""
    if first is PageName.LIVE and not has_screen():
        raise SnitchError("the live page needs a terminal", "`tinysnitch top --once` prints, `--json` streams")
    return run_prompt(socket_path, plain=False, make_app=lambda path, delay_s: PagesApp(path, delay_s, first))
