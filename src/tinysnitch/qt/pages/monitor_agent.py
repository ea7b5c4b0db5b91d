"""The agent between the pages, the daemon and their window: it looks at the daemon while the window is there.

A row of the live page can be pointed to from a question: what else its program does.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from tinysnitch.client.local_time import tell_time
from tinysnitch.client.request_queue import Outcome, RequestQueue
from tinysnitch.client.traffic_client import TrafficClient
from tinysnitch.client.user_names import find_user
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.protocol.messages import Request
from tinysnitch.qt.daemon_link import QtLink
from tinysnitch.qt.pages.monitor_window import MonitorWindow
from tinysnitch.qt.pages.page_table import present_page
from tinysnitch.view.live.live_page import LivePage
from tinysnitch.view.live.seen import TrafficSeen
from tinysnitch.view.lookup import Lookup
from tinysnitch.view.pages.history_page import HistoryPage
from tinysnitch.view.pages.list_page import ListPage
from tinysnitch.view.pages.names_page import NamesPage
from tinysnitch.view.pages.rules_page import RulesPage
from tinysnitch.view.pages.tabs import PageName, find_page, present_tabs
from tinysnitch.view.prompt_events import KeyPressed

TICK_MS = 1000  # between two drawings of the live page
_HIDE = ("q", "ctrl+c")


class _Post(QObject):
    """A signal that any thread may emit, and that arrives in Qt's thread."""

    posted = Signal(object)


class MonitorAgent:
    def __init__(self, window: MonitorWindow, socket_path: str, *, is_for_user: Callable[[], bool]) -> None:
        """`is_for_user`: whether the person's rules are for their own user alone."""
        self.live = LivePage()
        self.pages: dict[PageName, ListPage] = {
            PageName.LIVE: self.live,
            PageName.HISTORY: HistoryPage(),
            PageName.NAMES: NamesPage(),
            PageName.RULES: RulesPage(),
        }
        self.on_page = PageName.LIVE
        self._window = window
        self._path = socket_path
        self._is_for_user = is_for_user
        self._lookup = Lookup(find_user, tell_time=tell_time)
        self._post = _Post()
        self._post.posted.connect(lambda act: act(), Qt.ConnectionType.QueuedConnection)
        self._requests: RequestQueue[ListPage] = RequestQueue(socket_path, self._post_to_loop, self._take_outcome)
        self._link: QtLink[TrafficSeen] | None = None
        self._ticker = QTimer()
        self._ticker.setInterval(TICK_MS)
        self._ticker.timeout.connect(self._show)
        window.pressed.connect(lambda name, text, typed_s: self.press(KeyPressed(name, text), typed_s))
        window.clicked.connect(lambda name, at_s: self.press(KeyPressed(name, is_click=True), at_s))
        window.pasted.connect(self._paste)
        window.edited.connect(self._change_line)
        window.hidden.connect(self._look)

    @property
    def page(self) -> ListPage:
        return self.pages[self.on_page]

    def open(self, page: PageName | None = None, program: str | None = None) -> None:
        """Show the window, with this page, and of the live page the row of this program."""
        self.on_page = page if page in self.pages else self.on_page
        if program:
            self.live.point_to(program)
        self._window.open()
        self._enter()

    def press(self, key: KeyPressed, typed_s: float) -> None:
        page = find_page(key.name, self.on_page, tuple(self.pages))
        if page:
            self.on_page = page
            self._enter()
        elif key.name in _HIDE and not self.page.takes_text and not self.page.is_help:
            self._window.close()
        else:
            self._prepare()
            self._requests.ask(self.page, self.page.press(key, typed_s))
            self._show()

    def _paste(self, text: str) -> None:
        self.page.paste(text)
        self._show()

    def _change_line(self, text: str, cursor: int) -> None:
        if self.page.edit is not None:
            self.page.edit = self.page.edit.rewrite(text, cursor)
            self._show()

    def _enter(self) -> None:
        """The page comes into sight."""
        self._look()
        self._prepare()
        self._requests.ask(self.page, self.page.open(time.monotonic()))
        self._show()

    def _look(self) -> None:
        """Look at the traffic while the live page is in sight, and no longer."""
        is_on = self._window.isVisible() and self.on_page is PageName.LIVE
        if is_on and self._link is None:
            self._link = QtLink(self._path, TrafficClient(self._path), self.live.see, lambda _error: None)
            self._link.start()
            self._ticker.start()
        elif not is_on and self._link:
            self._link.close()
            self._link = None
            self._ticker.stop()

    def _prepare(self) -> None:
        """What the page needs to know of us."""
        self.page.wall_ahead_s = time.time() - time.monotonic()
        self.page.own_uid = os.geteuid()
        self.page.uid = os.getuid() if self._is_for_user() else None

    def _post_to_loop(self, act: Callable[[], None]) -> None:
        """Called in another thread."""
        with suppress(RuntimeError):  # the application has ended, and Qt deleted the signal
            self._post.posted.emit(act)

    def _take_outcome(self, page: ListPage, request: Request, outcome: Outcome) -> None:
        refused = outcome if isinstance(outcome, SnitchError) else None
        replies = outcome if isinstance(outcome, tuple) else ()
        self._requests.ask(page, page.refuse(request, refused) if refused else page.take(request, replies))
        self._show()

    def _show(self) -> None:
        if self._window.isVisible():
            self._prepare()
            table = present_page(self.page, time.monotonic(), self._lookup, datetime.now().astimezone())
            self._window.show_page(table, present_tabs(self.on_page, tuple(self.pages)))
