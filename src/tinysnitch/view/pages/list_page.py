"""What all pages with a list share: the row that is selected, a filter, the line of a rule that is edited, and a change
that waits for Enter.

1. A row is known by its key, wherever others move it.
2. A change of rules is shown first (`Waiting`). Enter does it, but only once it has been in sight for `delay_s`, and
   not if it comes at once after another key: a text with a line end, pasted by accident, changes nothing.
   A letter that is no key here belongs to a text, as at a prompt (view/key_guard.py): then no letter counts, nor this
   Enter, until the typing has paused. So does a letter that follows at once on the key that began to edit.
3. The filter takes any letter while it is written, and so does the line of a rule. Elsewhere a letter is a key.
"""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import msgspec

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.protocol.messages import FromDaemon, Request
from tinysnitch.view.help_view import HelpRow
from tinysnitch.view.key_guard import DELAY_S, PASTED_S, TEXT_S, TYPING_DELAYS, TYPING_S
from tinysnitch.view.line_edit import LineEdit, find_fault
from tinysnitch.view.pages.tabs import PageName
from tinysnitch.view.prompt_events import KeyPressed
from tinysnitch.view.prompt_view import KeyHint

Requests = tuple[Request, ...]  # to the daemon, in this order; none follows one that was refused

GOES, COMES_BACK = "goes", "comes back"  # labels of rules that wait
_NO_TEXT = LineEdit("", 0)
_ROW = "row "  # how the name of the key begins that a click on a row presses
_STEPS = {"down": 1, "up": -1, "wheel down": 3, "wheel up": -3}
_PAGES = {"pagedown": 1, "pageup": -1}
_ENDS = {"home": 0, "end": -1}


class PageKey(msgspec.Struct, frozen=True):
    label: str
    name: str  # by which front ends report it
    short: str  # for the foot of the page
    meaning: str  # for its help


class Waiting(msgspec.Struct, frozen=True):
    """A change that Enter does."""

    requests: Requests
    told: str  # what it does
    lines: tuple[str, ...]  # of rules, with their verdict
    since_s: float  # when it came into sight
    hindrance: str = ""  # why Enter does nothing; "" if it does
    labels: tuple[str, ...] = ()  # of the lines, if they are not all rules that come or go


PAGES_HELP = HelpRow("pages", "F2 … F6", "another page (also Ctrl-N, Ctrl-P, a click on its name)")
MOVES = (
    HelpRow("", "↓ ↑ PgDn PgUp", "go to a row (also Home, End, the wheel, a click)"),
    msgspec.structs.replace(PAGES_HELP, heading=""),
    HelpRow("", "q", "leave (also Ctrl-C)"),
)
_FILTER_KEY = PageKey("/", "slash", "filter", "show only rows with these words; Enter keeps them, Esc shows all")


class ListPage(ABC):
    name: ClassVar[PageName]
    keys: ClassVar[tuple[PageKey, ...]]  # its own
    again_s: ClassVar[float | None] = None  # after which it is opened again, while it is in sight; None: never

    def __init__(self) -> None:
        self.uid: int | None = None  # the user that rules must name, if the person may see only their own
        self.own_uid: int | None = None  # the person
        self.delay_s = DELAY_S
        self.wall_ahead_s = 0.0  # wall clock minus the clock of `press`
        self.filter = _NO_TEXT
        self.is_filtering = False  # it takes letters
        self.is_help = False
        self.notice = ""  # what became of the last change, or what went wrong
        self.selected: str | None = None  # the key of a row
        self.waiting: Waiting | None = None
        self.edit: LineEdit | None = None
        self.room = 10  # rows of the list that are in sight
        self._typed_s = 0.0
        self._text_until_s = -math.inf  # until then a person types a text
        self._edit_since_s = 0.0

    # what each page has of its own

    @abstractmethod
    def row_keys(self) -> tuple[str, ...]:
        """Of the rows that the filter shows, in order."""

    @abstractmethod
    def open(self, now: float) -> Requests:
        """The page comes into sight."""

    @abstractmethod
    def act(self, name: str, now: float) -> Requests:
        """A key that no page shares was pressed."""

    @abstractmethod
    def take(self, request: Request, replies: tuple[FromDaemon, ...]) -> Requests:
        """The daemon has done what was asked."""

    def accept(self, _line: str) -> Requests:
        """The edited line is the one that is wanted. On a page without rules none is edited."""
        return ()

    def refuse(self, _request: Request, error: SnitchError) -> Requests:
        """The daemon has not done it."""
        self.notice = f"{error} ({error.hint})" if error.hint else str(error)
        return ()

    # keys

    @property
    def takes_text(self) -> bool:
        """Whether letters are no keys."""
        return self.is_filtering or self.edit is not None

    def press(self, key: KeyPressed, now: float) -> Requests:
        is_at_once, self._typed_s = now - self._typed_s < PASTED_S and not key.is_click, now
        if self.is_help:
            self.is_help = False
            return ()
        if self.edit is not None:
            return self._press_in_edit(key, self.edit, now, is_at_once=is_at_once)
        if self.is_filtering and not key.is_click:
            return self._press_in_filter(key)
        self._edit_since_s = now
        letter = _letter_of(key)
        if letter and (letter not in self._letters() or now < self._text_until_s):
            self._note_text(now)
            return ()
        if self.waiting:
            return self._press_in_waiting(key.name, self.waiting, now, is_at_once=is_at_once)
        return self._press_in_list(key, now)

    def _letters(self) -> set[str]:
        """That are keys now."""
        return {each.label for each in self.choices()} if self.waiting else {each.name for each in self.keys}

    def _note_text(self, now: float) -> None:
        """A letter came of a text that is meant for another window."""
        self._text_until_s = now + min(TEXT_S, TYPING_DELAYS * self.delay_s)

    def paste(self, text: str) -> None:
        if self.edit is not None:
            self.edit = self.edit.paste(text)
        elif self.is_filtering:
            self.filter = self.filter.paste(text)

    def _press_in_edit(self, key: KeyPressed, edit: LineEdit, now: float, *, is_at_once: bool) -> Requests:
        if key.name == "escape":
            self.edit = None
        elif key.name == "enter":
            if not (is_at_once or find_fault(edit, now + self.wall_ahead_s)):
                self.edit = None
                return self.accept(edit.text)
        elif _letter_of(key) and now - self._edit_since_s < min(TYPING_S, TYPING_DELAYS * self.delay_s):
            self.edit = None
            self._note_text(now)
        elif not key.is_click:
            self.edit = edit.press(key.name, key.text)
        return ()

    def _press_in_filter(self, key: KeyPressed) -> Requests:
        if key.name == "escape":
            self.filter, self.is_filtering = _NO_TEXT, False
        elif key.name in ("enter", "tab"):
            self.is_filtering = False
        elif key.name in ("up", "down", *_PAGES):
            self._move(key.name)
        else:
            self.filter = self.filter.press(key.name, key.text)
        return ()

    def _press_in_waiting(self, name: str, waiting: Waiting, now: float, *, is_at_once: bool) -> Requests:
        if name == "enter":
            if is_at_once or self._is_early(waiting, now) or waiting.hindrance:
                return ()
            self.waiting = None
            return waiting.requests
        if name == "escape":
            self.waiting = None
            return ()
        return self.choose(name, now)

    def _is_early(self, waiting: Waiting, now: float) -> bool:
        return now - waiting.since_s < self.delay_s or now < self._text_until_s

    def choices(self) -> tuple[KeyHint, ...]:
        """The keys of `choose`."""
        return ()

    def choose(self, _name: str, _now: float) -> Requests:
        """A key was pressed while a change waits; on some pages it changes what Enter does."""
        return ()

    def _press_in_list(self, key: KeyPressed, now: float) -> Requests:
        match key.name:
            case "question_mark":
                self.is_help = True
            case "slash" | "/":
                self.is_filtering = True
            case "escape":
                self.filter, self.notice, self.selected = _NO_TEXT, "", None
            case name if not self._move(name):
                self.notice = ""
                return self.act(name, now)
        return ()

    def _move(self, name: str) -> bool:
        """Select another row. False if the key selects none."""
        keys = self.row_keys()
        if name.startswith(_ROW):
            self.selected = name.removeprefix(_ROW)
        elif name in _ENDS:
            self.selected = keys[_ENDS[name]] if keys else None
        elif step := _STEPS.get(name) or _PAGES.get(name, 0) * max(1, self.room - 1):
            at = keys.index(self.selected) + step if self.selected in keys else 0
            self.selected = keys[min(max(at, 0), len(keys) - 1)] if keys else None
        else:
            return False
        return True

    # what is shown

    def help_rows(self) -> tuple[HelpRow, ...]:
        own = (HelpRow("", key.label, key.meaning) for key in (*self.keys, _FILTER_KEY))
        return (*own, *MOVES)

    def hints(self, now: float) -> tuple[KeyHint, ...]:
        """The keys that count now."""
        if self.edit is not None:
            is_dead = find_fault(self.edit, now + self.wall_ahead_s) is not None
            return KeyHint("Enter", "write it", is_dead=is_dead), KeyHint("Esc", "back")
        if self.is_filtering:
            return KeyHint("Enter", "keep these"), KeyHint("Esc", "show all")
        if self.waiting:
            hindrance = self.waiting.hindrance
            told = f"{self.waiting.told}: {hindrance}" if hindrance else self.waiting.told
            enter = KeyHint("Enter", told, is_dead=bool(hindrance) or self._is_early(self.waiting, now))
            return enter, *self.choices(), KeyHint("Esc", "leave it as it is")
        own = tuple(KeyHint(key.label, key.short) for key in (*self.keys, _FILTER_KEY) if key.short)
        return (*own, KeyHint("?", "keys"))


def _letter_of(key: KeyPressed) -> str:
    """The letter or digit that is typed; "" if it is another key."""
    typed = (key.text or key.name).lower()
    return typed if len(typed) == 1 and typed.isalnum() and not key.is_click else ""


def key_of_row(key: str) -> str:
    """The name of the key that a click on the row presses."""
    return f"{_ROW}{key}"
