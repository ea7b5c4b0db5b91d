"""The one widget of the terminal's prompt: draws the state, and pages through the help."""

import time
from collections.abc import Callable

from rich.text import Text
from textual.geometry import Region, Size
from textual.widget import Widget

from tinysnitch.core.clock import Instant
from tinysnitch.tui.encoding import fit_columns, terminal_encoding
from tinysnitch.tui.prompt_screen import count_help_pages, render_help, render_prompt
from tinysnitch.view.help_view import help_pages
from tinysnitch.view.lookup import Lookup
from tinysnitch.view.prompt_state import PromptState
from tinysnitch.view.prompt_view import PromptView, present_prompt

_HELP = help_pages()
_HELP_ENDS = ("escape", "q", "ctrl+c")


class PromptWidget(Widget):
    """Draws the state; knows nothing else but the page of the help, which depends on the size."""

    def __init__(self, state: PromptState, lookup: Lookup, painted: Callable[[], None]) -> None:
        super().__init__()
        self._state = state
        self._lookup = lookup
        self._painted = painted  # called when what was drawn last is on the screen
        self._help_page = 0
        self._drawn: list[Text] = []  # the rows on the screen, once it is painted
        self._drawn_size = Size(0, 0)
        self._is_painting_due = False

    def render(self) -> Text:
        """The rows as `redraw` found them: what has changed in others since would not be painted."""
        if self._drawn_size != self.size:
            self._draw_all()
        self._is_painting_due = False
        self._painted()
        return Text("\n").join(self._drawn)

    def redraw(self) -> None:
        """Only the rows that changed: a slow line should not be kept busy by a countdown."""
        width, height = self.size
        before = _padded(self._drawn, height)
        self._draw_all()
        now = _padded(self._drawn, height)
        changed = [row for row in range(height) if before[row] != now[row]]
        if changed:
            self._is_painting_due = True
            self.refresh(*(Region(0, row, width, 1) for row in changed))
        elif height and not self._is_painting_due:
            self._painted()

    def turn_page(self, key: str) -> bool:
        """Whether the key went to the next page of the help, of which there are several in a small terminal."""
        pages = _HELP.get(self._state.page)
        if pages is None:
            self._help_page = 0
            return False
        width, height = self.size
        is_last = self._help_page + 1 >= count_help_pages(pages[1], width, height, self._present())
        if is_last or key in _HELP_ENDS:
            self._help_page = 0
            return False
        self._help_page += 1
        return True

    def _draw_all(self) -> None:
        text = self._draw_page()
        text.plain = fit_columns(text.plain, terminal_encoding())
        self._drawn, self._drawn_size = list(text.split("\n", allow_blank=True)), self.size

    def _draw_page(self) -> Text:
        width, height = self.size
        view = self._present()
        if help_of := _HELP.get(self._state.page):
            return render_help(*help_of, width, height, view=view, page=self._help_page)
        return render_prompt(view, width, height)

    def _present(self) -> PromptView:
        return present_prompt(self._state, Instant(time.monotonic(), time.time()), self._lookup)


def _padded(rows: list[Text], height: int) -> list[Text]:
    return [*rows, *[Text()] * (height - len(rows))]
