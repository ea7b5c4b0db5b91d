"""The page of the names: which programs ask for names, and of one program the names in the order of asking.

Enter leads from a program to its names, and Backspace back. The first name of a page load has its time beside it.
"""

from datetime import datetime
from typing import ClassVar

import msgspec

from tinysnitch.core.traffic.asked_names import AskedName, AskingProgram, NamesQuestion, NamesTotal
from tinysnitch.protocol.messages import FromDaemon, NamesAsked, NamesProgram, NamesSum, ReadNames, Request
from tinysnitch.view.connection_view import name_of_path
from tinysnitch.view.history.history_view import tell_moment
from tinysnitch.view.history.names_view import present_programs, tell_names_total, tell_use
from tinysnitch.view.history.table import Cell, Table
from tinysnitch.view.pages.list_frame import ListFrame, present_frame
from tinysnitch.view.pages.list_page import ListPage, PageKey, Requests, key_of_row
from tinysnitch.view.pages.tabs import PageName
from tinysnitch.view.span import Span, Weight, spans_of_name

MOST_LINES = 1000
SPAN_S = 86400.0
Entry = AskingProgram | AskedName


class NamesPage(ListPage):
    name = PageName.NAMES
    keys: ClassVar[tuple[PageKey, ...]] = (
        PageKey("Enter", "enter", "its names", "the names that the program asked for, in their order, by page load"),
        PageKey("BkSp", "backspace", "back", "back to the programs"),
        PageKey("r", "r", "read again", "read it again"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.question = NamesQuestion(limit=MOST_LINES)
        self.entries: tuple[Entry, ...] = ()
        self.total = NamesTotal()
        self.is_read = False

    @property
    def shown(self) -> dict[str, Entry]:
        """Those that the filter shows, by the keys of their rows."""
        words = self.filter.text.lower().split()
        return {
            key: entry
            for key, entry in ((_key_of(entry), entry) for entry in self.entries)
            if all(word in key.lower() for word in words)
        }

    def row_keys(self) -> tuple[str, ...]:
        return tuple(self.shown)

    def open(self, now: float) -> Requests:
        since_s = max(0.0, now + self.wall_ahead_s - SPAN_S)
        self.question = msgspec.structs.replace(self.question, since_s=since_s)
        return (ReadNames(self.question),)

    def act(self, name: str, now: float) -> Requests:
        entry = self.shown.get(self.selected or "")
        if name == "enter" and isinstance(entry, AskingProgram):
            return self._ask(entry.program, now)
        if name == "backspace" and self.question.program:
            return self._ask(None, now)
        return self.open(now) if name == "r" else ()

    def _ask(self, program: str | None, now: float) -> Requests:
        self.selected = self.question.program
        self.question = msgspec.structs.replace(self.question, program=program)
        return self.open(now)

    def take(self, request: Request, replies: tuple[FromDaemon, ...]) -> Requests:
        if isinstance(request, ReadNames) and request.question == self.question:  # else a newer one is under way
            self.is_read = True
            programs = [reply.program for reply in replies if isinstance(reply, NamesProgram)]
            self.entries = (*programs, *(reply.asked for reply in replies if isinstance(reply, NamesAsked)))
            self.total = next((reply.total for reply in replies if isinstance(reply, NamesSum)), NamesTotal())
        return ()


class NamesPageView(msgspec.Struct, frozen=True):
    frame: ListFrame
    table: Table
    keys: tuple[str, ...]  # the names of the keys that a click on the rows presses


def present_names_page(page: NamesPage, now: float, moment: datetime) -> NamesPageView:
    """`moment`: now, with the time zone to tell times in."""
    entries = list(page.shown.values())
    programs = [entry for entry in entries if isinstance(entry, AskingProgram)]
    asked = [entry for entry in entries if isinstance(entry, AskedName)]
    frame = present_frame(page, now, title=_present_title(page), facts=())
    table = _present_asked(asked, moment) if asked else present_programs(programs, moment)
    return NamesPageView(frame, table, tuple(map(key_of_row, page.row_keys())))


def _present_title(page: NamesPage) -> str:
    if not page.is_read:
        return "reading the names"
    if not page.entries:
        return "nothing asked for names in the last day"
    whose = f"{name_of_path(page.question.program)}, " if page.question.program else ""
    return f"{whose}in the last day: {tell_names_total(page.total)}"


def _present_asked(asked: list[AskedName], moment: datetime) -> Table:
    rows: list[tuple[Cell, ...]] = []
    load = None
    for each in asked:
        time = "" if each.load == load else tell_moment(each.at_s, moment)
        load = each.load
        quiet = Span(time, weight=Weight.QUIET)
        rows.append(((quiet,), spans_of_name(each.name), (Span(str(each.questions)),), tell_use(each)))
    return Table(head=("load", "name", "asked", "then"), rows=tuple(rows), left=frozenset({0, 1, 3}))


def _key_of(entry: Entry) -> str:
    return entry.program if isinstance(entry, AskingProgram) else f"{entry.load} {entry.name}"
