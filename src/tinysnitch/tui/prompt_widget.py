"""The only widget of the terminal's prompt: draws the state, and pages through the help."""

import time
from collections.abc import Callable

from rich.text import Text
from textual.geometry import Region, Size
from textual.widget import Widget

from tinysnitch.tui.encoding import fit_columns, terminal_encoding
from tinysnitch.tui.group_screen import list_room, render_group
from tinysnitch.tui.help_screen import count_help_pages, render_help
from tinysnitch.tui.prompt_screen import render_prompt
from tinysnitch.tui.rows import key_at, question_at
from tinysnitch.tui.waiting_screen import render_waiting
from tinysnitch.view.group_view import GroupView
from tinysnitch.view.help_view import help_pages
from tinysnitch.view.lookup import Lookup
from tinysnitch.view.prompt_events import ListSized
from tinysnitch.view.prompt_state import PromptState
from tinysnitch.view.prompt_view import PromptView, present_prompt

_HELP = help_pages()
_HELP_ENDS = ("escape", "q", "ctrl+c")


class PromptWidget(Widget):
    """Draws the state. All that it keeps itself is the page of the help, since paging depends on the screen's size."""

    def __init__(self, state: PromptState, lookup: Lookup, painted: Callable[[], None]) -> None:
        super().__init__()
        self._state = state
        self._lookup = lookup
        self._painted = painted  # called when the rows that were drawn last are painted
        self._help_page = 0
        self._drawn: list[Text] = []  # the rows that were drawn last
        self._drawn_size = Size(0, 0)
        self._is_painting_due = False

    def render(self) -> Text:
        """The rows as `redraw` drew them, and not drawn anew: Textual paints only the rows that `redraw` named, so that
        changes in other rows would not be seen, then or later."""
        if self._drawn_size != self.size:
            self._draw_all()
        self._is_painting_due = False
        self._painted()
        return Text("\n").join(self._drawn)

    def redraw(self) -> None:
        """Draw the state, and have only the rows painted that changed: a countdown must not keep a slow line busy."""
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
        """Turn to the next page of the help, which has several in a small terminal. False if the key does not."""
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

    def scroll_help(self, step: int) -> bool:
        """Turn to the next page of the help, or with -1 to the one before, as far as there is one. False if none of the
        help is shown."""
        pages = _HELP.get(self._state.page)
        if pages is None:
            return False
        count = count_help_pages(pages[1], *self.size, self._present())
        self._help_page = min(max(self._help_page + step, 0), count - 1)
        return True

    def key_at(self, column: int, row: int) -> str | None:
        """The name of the key whose hint was drawn there."""
        return key_at(self._drawn[row], column) if 0 <= row < len(self._drawn) else None

    def question_at(self, column: int, row: int) -> int | None:
        """The question of a list that was drawn there."""
        return question_at(self._drawn[row], column) if 0 <= row < len(self._drawn) else None

    def _draw_all(self) -> None:
        text = self._draw_page()
        text.plain = fit_columns(text.plain, terminal_encoding())
        self._drawn, self._drawn_size = list(text.split("\n", allow_blank=True)), self.size

    def _draw_page(self) -> Text:
        width, height = self.size
        view = self._present()
        if help_of := _HELP.get(self._state.page):
            return render_help(*help_of, width, height, view=view, page=self._help_page)
        if view.group:
            return render_group(self._with_room(view, view.group), width, height)
        return render_prompt(view, width, height) if view.is_question else render_waiting(view, width, height)

    def _with_room(self, view: PromptView, group: GroupView) -> PromptView:
        """The view with as much of the list as the screen has room for."""
        columns, rows = list_room(view, *self.size)
        if (columns, rows) == (group.columns, group.room):
            return view
        self._state.handle(ListSized(columns, rows), time.monotonic())
        return self._present()

    def _present(self) -> PromptView:
        return present_prompt(self._state, time.monotonic(), self._lookup)


def _padded(rows: list[Text], height: int) -> list[Text]:
    return [*rows, *[Text()] * (height - len(rows))]
