"""Lays out the pages behind `?` and `l` for a terminal: in a small one, as several pages that follow each other."""

from collections.abc import Iterator

from rich.text import Text

from tinysnitch.tui.prompt_screen import time_row
from tinysnitch.tui.rows import COVERED, QUIET, STRONG, place, room_of
from tinysnitch.view.escape import cell_width, escape_text, shorten_end, wrap_columns
from tinysnitch.view.help_view import HelpRow
from tinysnitch.view.prompt_view import PromptView

HELP_END = "any key goes back; Ctrl-Z stops the prompt, `fg` goes on"
WIDE = 60  # columns from which on the help shows its headings


def render_help(
    title: str, rows: tuple[HelpRow, ...], width: int, height: int, *, view: PromptView, page: int = 0
) -> Text:
    """The page of `?` or `l`, and below it the time that is left for the question in sight."""
    room = room_of(width)
    time = _time_rows(view, room)
    pages = _help_pages(rows, room, height - len(time) - 2)
    count = len(pages)
    back = f"page {page + 1} of {count}: any key goes on, Esc back" if page + 1 < count else HELP_END
    head, foot = Text(title, STRONG), Text(shorten_end(back, room), QUIET)
    blank = [Text()] if count == 1 else []
    table = [head, *blank, *pages[min(page, count - 1)], *blank, foot]
    if len(table) + len(time) > height:
        table = [row for row in table if row.plain][: max(0, height - len(time))]
    return place([*table, *time], width, height)


def count_help_pages(rows: tuple[HelpRow, ...], width: int, height: int, view: PromptView) -> int:
    room = room_of(width)
    return len(_help_pages(rows, room, height - len(_time_rows(view, room)) - 2))


def _time_rows(view: PromptView, room: int) -> list[Text]:
    return [time_row(view, room)] if view.is_question else []


def _help_pages(rows: tuple[HelpRow, ...], room: int, height: int) -> list[list[Text]]:
    """The rows of the help, in pages that fit between the title and the last line."""
    heading_width = max(cell_width(row.heading) for row in rows) if room >= WIDE else 0
    word_width = max(cell_width(row.word) for row in rows)
    lines = [line for row in rows for line in _help_lines(row, heading_width, word_width, room)]
    most = max(1, height)
    return [lines[start : start + most] for start in range(0, len(lines), most)]


def _help_lines(row: HelpRow, heading_width: int, word_width: int, room: int) -> Iterator[Text]:
    """The rows of one word, with its meaning wrapped beside it."""
    margin = word_width + 2 + (heading_width + 2 if heading_width else 0)
    first, *others = wrap_columns(escape_text(row.meaning), max(1, room - margin))
    line = Text().append(f"{row.heading:<{heading_width}}  " if heading_width else "", QUIET)
    yield line.append(f"{row.word:<{word_width}}", COVERED).append(f"  {first}")
    yield from (Text(f"{' ' * margin}{other}") for other in others)
