"""What is shown of the history: what was asked, in words, and the table of the answer."""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

import msgspec

from tinysnitch.core.traffic.queries import By, TrafficLine, TrafficQuestion
from tinysnitch.view.connection_view import name_of_path
from tinysnitch.view.escape import escape_text
from tinysnitch.view.history.history_view import present_history, present_new, present_total
from tinysnitch.view.history.table import Table
from tinysnitch.view.lookup import Lookup
from tinysnitch.view.pages.history_page import HistoryPage
from tinysnitch.view.pages.list_frame import ListFrame, present_frame
from tinysnitch.view.pages.list_page import key_of_row

FindUser = Callable[[int], str | None]


class HistoryPageView(msgspec.Struct, frozen=True):
    frame: ListFrame
    table: Table
    keys: tuple[str, ...]  # the names of the keys that a click on the rows presses


def present_history_page(page: HistoryPage, now: float, lookup: Lookup, moment: datetime) -> HistoryPageView:
    """`moment`: now, with the time zone to tell times in."""
    question = page.question
    frame = present_frame(page, now, title=_present_title(page), facts=())
    table = _make_table(
        page.shown, question.by, question.is_new, moment.replace(second=0, microsecond=0), lookup.find_user
    )
    return HistoryPageView(frame, table, tuple(map(key_of_row, page.row_keys())))


@lru_cache(maxsize=2)  # the page is drawn anew for each key, and may have a thousand rows
def _make_table(lines: tuple[TrafficLine, ...], by: By, is_new: bool, moment: datetime, find_user: FindUser) -> Table:
    return present_new(lines, moment) if is_new else present_history(lines, by, moment, find_user)


def _present_title(page: HistoryPage) -> str:
    if not page.is_read:
        return "reading the history"
    question, total = page.question, page.total
    when = f"in the last {page.span}"
    if not page.lines:
        return f"{_tell_question(question)}: nothing {when}"
    told = present_total(total, question.by, "", is_new=question.is_new).removeprefix("since : ")
    beyond = total.lines - len(page.lines)
    more = f"; the first {len(page.lines)} are shown" if beyond > 0 else ""
    return f"{_tell_question(question)}, {when}: {told.removeprefix('since , ')}{more}"


def _tell_question(question: TrafficQuestion) -> str:
    """`firefox, to shop.test, denied, by name`."""
    parts = [name_of_path(question.program)] if question.program else []
    parts += [f"to {escape_text(question.to)}"] if question.to else []
    parts += [f"port {question.port}"] if question.port is not None else []
    parts += [f"user {question.uid}"] if question.uid is not None else []
    parts += ["denied"] if question.is_denied else []
    parts += ["new"] if question.is_new else [f"by {question.by.value}"]
    return ", ".join(parts)
