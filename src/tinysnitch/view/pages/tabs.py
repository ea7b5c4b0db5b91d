"""Which pages there are, and the keys that switch: none of them answers a question, wherever it is pressed.

F1 is not among them: some terminals keep it for a help of their own.
"""

from enum import Enum

import msgspec


class PageName(Enum):
    QUESTIONS = "questions"
    LIVE = "live"
    HISTORY = "history"
    NAMES = "names"
    RULES = "rules"


_KEYS = {f"f{number}": page for number, page in enumerate(PageName, 2)}
_STEPS = {"ctrl+n": 1, "ctrl+p": -1}


class Tab(msgspec.Struct, frozen=True):
    page: PageName
    key: str  # the name of the key that switches to it
    is_on: bool

    @property
    def label(self) -> str:
        return self.key.upper()


def present_tabs(on: PageName, pages: tuple[PageName, ...]) -> tuple[Tab, ...]:
    return tuple(Tab(page, key, page is on) for key, page in _KEYS.items() if page in pages)


def key_of(page: PageName) -> str:
    """The name of the key that switches to the page."""
    return next(key for key, each in _KEYS.items() if each is page)


def find_page(key: str, on: PageName, pages: tuple[PageName, ...]) -> PageName | None:
    """The page that a key switches to."""
    if step := _STEPS.get(key):
        return pages[(pages.index(on) + step) % len(pages)]
    page = _KEYS.get(key)
    return page if page in pages else None
