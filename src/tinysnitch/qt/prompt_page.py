"""A prompt's view as a page: who and where in the middle, the rule line, the keys and the time at the bottom.

The type is as large as the window allows. What must be seen (title, rule, keys, time) always is: where the window is
small, long values give way first, then the type gets smaller.
"""

import msgspec

from tinysnitch.qt.page_layout import PageLayout
from tinysnitch.qt.page_writer import COLUMNS, PageWriter
from tinysnitch.view.help_view import HelpRow
from tinysnitch.view.prompt_view import PromptView

ROWS = 36  # with COLUMNS, what a window has room for at the usual size of type
MIN_FONT_PX = 6.0
SHRINK = 0.92
VALUE_ROWS = (6, 3, 2, 1)  # that one fact may take; the first that fits


class PageSize(msgspec.Struct, frozen=True):
    """The window's size, and the type it asks for, in logical pixels."""

    width: float
    height: float
    font_px: float

    @classmethod
    def of(cls, width: float, height: float, font_px: float | None = None) -> "PageSize":
        """Type that fills the window, if none is asked for."""
        fitting = min(width / COLUMNS / 0.6, height / ROWS / 1.17)  # a cell is about 0.6 by 1.17 of the size
        return cls(width, height, font_px or max(fitting, MIN_FONT_PX))


def build_page(view: PromptView, size: PageSize) -> PageLayout:
    """The largest page of this view that fits."""
    font_px = size.font_px
    while True:
        for rows in VALUE_ROWS:
            page = _try_page(view, msgspec.structs.replace(size, font_px=font_px), rows)
            if page or (font_px <= MIN_FONT_PX and rows == VALUE_ROWS[-1]):
                return page or PageLayout()
        font_px *= SHRINK


def build_help(title: str, rows: tuple[HelpRow, ...], view: PromptView, size: PageSize) -> PageLayout:
    """With the time of the question that waits behind it."""
    font_px = size.font_px
    while True:
        page = PageWriter(size.width, font_px).write_help(title, rows, view)
        if page.y <= size.height or font_px <= MIN_FONT_PX:
            return _centred(page, size)
        font_px *= SHRINK


def _try_page(view: PromptView, size: PageSize, rows: int) -> PageLayout | None:
    """None when it is higher than the window."""
    if not view.is_question:
        return _centred(PageWriter(size.width, size.font_px).write_waiting(view), size)
    upper = PageWriter(size.width, size.font_px).write_upper(view, rows)
    lower = PageWriter(size.width, size.font_px).write_lower(view)
    spare = size.height - upper.y - lower.y
    if spare < 0 and size.font_px > MIN_FONT_PX:
        return None
    page = PageLayout()
    page.add_page(upper, max(0.0, spare) / 2)
    page.add_page(lower, size.height - lower.y)
    return page


def _centred(inner: PageLayout, size: PageSize) -> PageLayout:
    page = PageLayout()
    page.add_page(inner, max(0.0, (size.height - inner.y) / 2))
    return page
