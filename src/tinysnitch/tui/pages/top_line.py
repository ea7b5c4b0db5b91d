"""The rows above a page: the names of all pages, and the question that waits while another page is in sight."""

from rich.text import Text

from tinysnitch.tui.rows import CURSOR, QUIET, STRONG, URGENT, WARNING, as_key, at_both_ends, join
from tinysnitch.view.escape import cell_width
from tinysnitch.view.pages.call import Call
from tinysnitch.view.pages.tabs import PageName, Tab, key_of
from tinysnitch.view.span import fit_spans

WITH_KEYS = 64  # columns from which on each name stands behind its key


def tab_row(tabs: tuple[Tab, ...], width: int) -> Text:
    row = Text(" " if width >= WITH_KEYS else "")
    for tab in tabs:
        key = f"{tab.label} " if width >= WITH_KEYS else ""
        name = Text(f" {tab.page.value} ", f"{STRONG} {CURSOR}" if tab.is_on else "")
        row.append_text(as_key(Text.assemble((key, QUIET), name), tab.key))
        row.append(" " if key else "")
    if (over := cell_width(row.plain) - width) > 0:
        row.right_crop(over)
    return at_both_ends(row, Text("? keys ", QUIET), width) if cell_width(row.plain) + 10 <= width else row


def call_row(call: Call, width: int) -> Text:
    """The question, and the key that goes to it; a click does so, too."""
    key = key_of(PageName.QUESTIONS)
    style = URGENT if call.is_urgent else WARNING
    rest = f" {call.rest}  {key.upper()} {'answers ' if width >= WITH_KEYS else ''}"
    sentence = join(fit_spans(call.sentence, max(1, width - cell_width(rest) - 4)))
    row = at_both_ends(Text.assemble(" ? ", sentence), Text(rest), width)
    row = Text(row.plain.ljust(width), f"{style} {CURSOR}")
    return as_key(row, key)
