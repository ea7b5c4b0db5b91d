"""Lays out a prompt's view as a page: the facts in the middle; rule line, keys and time at the bottom.

The font is as large as the window allows. What must be seen (title, rule, keys, time) always is: in a small window long
values are cut first, then the font gets smaller.
"""

import msgspec

from tinysnitch.qt.page_layout import PageLayout
from tinysnitch.qt.page_writer import COLUMNS, PageWriter
from tinysnitch.view.help_view import HelpRow
from tinysnitch.view.prompt_view import PromptView

ROWS = 36  # the usual font is so large that the window has room for ROWS of COLUMNS
MIN_FONT_PX = 6.0
SHRINK = 0.92  # factor between two font sizes that are tried
VALUE_ROWS = (6, 3, 2, 1)  # rows that a fact may take; the first number that fits is used


class PageSize(msgspec.Struct, frozen=True):
    """The size of the window and the wanted font size, in logical pixels."""

    width: float
    height: float
    font_px: float

    @classmethod
    def of(cls, width: float, height: float, font_px: float | None = None) -> "PageSize":
        """Without `font_px`, a font with which a page fills the window."""
        fitting = min(width / COLUMNS / 0.6, height / ROWS / 1.17)  # a character takes about 0.6 by 1.17 font sizes
        return cls(width, height, font_px or max(fitting, MIN_FONT_PX))


def build_page(view: PromptView, size: PageSize) -> PageLayout:
    """The page of this view with the largest font that fits."""
    font_px = size.font_px
    while True:
        for rows in VALUE_ROWS:
            page = _try_page(view, msgspec.structs.replace(size, font_px=font_px), rows)
            if page or (font_px <= MIN_FONT_PX and rows == VALUE_ROWS[-1]):
                return page or PageLayout()
        font_px *= SHRINK


def build_help(title: str, rows: tuple[HelpRow, ...], view: PromptView, size: PageSize) -> PageLayout:
    """The page of the help or legend, with the time that is left for the question in sight."""
    font_px = size.font_px
    while True:
        page = PageWriter(size.width, font_px).write_help(title, rows, view)
        if page.y <= size.height or font_px <= MIN_FONT_PX:
            return _centred(page, size)
        font_px *= SHRINK


def _try_page(view: PromptView, size: PageSize, rows: int) -> PageLayout | None:
    """The page at this font size, with at most `rows` rows for each fact; None if it is higher than the window."""
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
