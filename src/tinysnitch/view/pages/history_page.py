"""The page of the history: the sums of `tinysnitch history`, and from a row to what is behind it.

A row of programs leads to the domains of one, a row of domains to its names; Backspace goes back. Each step is one
question to the daemon (core/traffic/queries.py), and the answer is kept until the next one.
"""

from typing import ClassVar, TypeVar

import msgspec

from tinysnitch.core.traffic.queries import By, TrafficLine, TrafficQuestion, TrafficTotal
from tinysnitch.protocol.messages import FromDaemon, HistoryEntry, HistoryTotal, ReadHistory, Request
from tinysnitch.view.pages.list_page import ListPage, PageKey, Requests
from tinysnitch.view.pages.tabs import PageName

MOST_LINES = 1000
SPANS = {"hour": 3600.0, "day": 86400.0, "7 days": 7 * 86400.0, "30 days": 30 * 86400.0}
_BEHIND = {By.PROGRAM: By.DOMAIN, By.DOMAIN: By.NAME, By.PORT: By.PROGRAM, By.USER: By.PROGRAM, By.NAME: By.PROGRAM}
T = TypeVar("T")


class HistoryPage(ListPage):
    name = PageName.HISTORY
    keys: ClassVar[tuple[PageKey, ...]] = (
        PageKey("Enter", "enter", "open", "what is behind the row: of a program its domains, of these the names"),
        PageKey("BkSp", "backspace", "back", "back to where Enter led from"),
        PageKey("b", "b", "by", "a row for each program, name, domain, port, user, day or rule"),
        PageKey("t", "t", "time", "of the last hour, day, 7 or 30 days"),
        PageKey("d", "d", "denied", "only what was denied, or all again"),
        PageKey("n", "n", "new", "which program spoke with which domain for the first time, or all again"),
        PageKey("r", "r", "", "read it again"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.question = TrafficQuestion(limit=MOST_LINES)
        self.span = "day"
        self.lines: tuple[TrafficLine, ...] = ()
        self.total = TrafficTotal()
        self.is_read = False
        self._before: list[tuple[TrafficQuestion, str | None]] = []  # and the row that was selected

    @property
    def shown(self) -> tuple[TrafficLine, ...]:
        """Those that the filter shows."""
        words = self.filter.text.lower().split()
        return tuple(line for line in self.lines if all(word in _text_of(line) for word in words))

    def row_keys(self) -> tuple[str, ...]:
        return tuple(map(_text_of, self.shown))

    @property
    def line(self) -> TrafficLine | None:
        """The one that is selected."""
        return next((line for line in self.lines if _text_of(line) == self.selected), None)

    def open(self, now: float) -> Requests:
        return self._read(now)

    def _read(self, now: float) -> Requests:
        since_s = max(0.0, now + self.wall_ahead_s - SPANS[self.span])
        self.question = msgspec.structs.replace(self.question, since_s=since_s)
        return (ReadHistory(self.question),)

    def act(self, name: str, now: float) -> Requests:
        match name:
            case "enter" if self.line:
                return self._go_behind(self.line, now)
            case "backspace" if self._before:
                self.question, self.selected = self._before.pop()
            case "b":
                self._change(by=_next_of(self.question.by), is_new=False)
            case "t":
                self.span = _after(list(SPANS), self.span)
            case "d":
                self._change(is_denied=not self.question.is_denied)
            case "n":
                self._change(is_new=not self.question.is_new)
            case "r":
                pass
            case _:
                return ()
        return self._read(now)

    def _change(self, **changes: object) -> None:
        self.question = msgspec.structs.replace(self.question, **changes)

    def _go_behind(self, line: TrafficLine, now: float) -> Requests:
        """Ask what is behind the row, if something is."""
        question = self.question
        narrowed = _narrow(question, line)
        if narrowed is None:
            return ()
        self._before.append((question, self.selected))
        self.question, self.selected = narrowed, None
        return self._read(now)

    def take(self, request: Request, replies: tuple[FromDaemon, ...]) -> Requests:
        if isinstance(request, ReadHistory) and request.question == self.question:  # else a newer one is under way
            self.is_read = True
            self.lines = tuple(reply.line for reply in replies if isinstance(reply, HistoryEntry))
            self.total = next((reply.total for reply in replies if isinstance(reply, HistoryTotal)), TrafficTotal())
        return ()


def _narrow(question: TrafficQuestion, line: TrafficLine) -> TrafficQuestion | None:
    """What is asked about the row; None if nothing is behind it."""
    if question.is_new:
        return msgspec.structs.replace(question, is_new=False, by=By.NAME, program=line.program, to=line.what or None)
    by = _BEHIND.get(question.by)
    if by is None or not line.what:
        return None
    match question.by:
        case By.PROGRAM:
            return msgspec.structs.replace(question, by=by, program=line.what)
        case By.PORT if line.what.partition(" ")[0].isdigit():
            return msgspec.structs.replace(question, by=by, port=int(line.what.partition(" ")[0]))
        case By.USER if line.what.isdigit():
            return msgspec.structs.replace(question, by=by, uid=int(line.what))
        case By.DOMAIN | By.NAME:
            return msgspec.structs.replace(question, by=by, to=line.what)
        case _:
            return None


def _next_of(by: By) -> By:
    return _after(list(By), by)


def _after(items: list[T], item: T) -> T:
    return items[(items.index(item) + 1) % len(items)]


def _text_of(line: TrafficLine) -> str:
    """The key of its row, and what the filter looks at."""
    return f"{line.program or ''} {line.what}".strip().lower()
