"""The page that the state shows now, as rows for a screen of some size; and which page of the help that is."""

import time

from rich.text import Text

from tinysnitch.tui.encoding import fit_columns, terminal_encoding
from tinysnitch.tui.group_screen import list_room, render_group
from tinysnitch.tui.help_screen import count_help_pages, render_help
from tinysnitch.tui.prompt_screen import render_prompt
from tinysnitch.tui.waiting_screen import render_waiting
from tinysnitch.view.group_view import GroupView
from tinysnitch.view.help_view import HelpRow, help_pages
from tinysnitch.view.keys import KEYS, OWN_KEYS
from tinysnitch.view.lookup import Lookup
from tinysnitch.view.prompt_events import ListSized
from tinysnitch.view.prompt_state import PromptState
from tinysnitch.view.prompt_view import PromptView, present_prompt

_HELP_ENDS = ("escape", "q", "ctrl+c")


class PageDrawer:
    """Draws the state. All that it keeps itself is the page of the help, since paging depends on the screen's size."""

    def __init__(self, state: PromptState, lookup: Lookup, more_help: tuple[HelpRow, ...] = ()) -> None:
        """`more_help`: keys of the front end itself."""
        self._state = state
        self._lookup = lookup
        self._help = help_pages(OWN_KEYS if state.is_guest else KEYS, more=more_help)
        self._help_page = 0

    def draw(self, width: int, height: int) -> list[Text]:
        """The rows, in characters that the terminal can show."""
        text = self._draw_page(width, height)
        text.plain = fit_columns(text.plain, terminal_encoding())
        return list(text.split("\n", allow_blank=True))

    def turn_page(self, key: str, width: int, height: int) -> bool:
        """Turn to the next page of the help, which has several in a small terminal. False if the key does not."""
        pages = self._help.get(self._state.page)
        if pages is None:
            self._help_page = 0
            return False
        is_last = self._help_page + 1 >= count_help_pages(pages[1], width, height, self._present())
        if is_last or key in _HELP_ENDS:
            self._help_page = 0
            return False
        self._help_page += 1
        return True

    def scroll_help(self, step: int, width: int, height: int) -> bool:
        """Turn to the next page of the help, or with -1 to the one before, as far as there is one. False if none of the
        help is shown."""
        pages = self._help.get(self._state.page)
        if pages is None:
            return False
        count = count_help_pages(pages[1], width, height, self._present())
        self._help_page = min(max(self._help_page + step, 0), count - 1)
        return True

    def _draw_page(self, width: int, height: int) -> Text:
        view = self._present()
        if help_of := self._help.get(self._state.page):
            return render_help(*help_of, width, height, view=view, page=self._help_page)
        if view.group:
            return render_group(self._with_room(view, view.group, width, height), width, height)
        return render_prompt(view, width, height) if view.is_question else render_waiting(view, width, height)

    def _with_room(self, view: PromptView, group: GroupView, width: int, height: int) -> PromptView:
        """The view with as much of the list as the screen has room for."""
        columns, rows = list_room(view, width, height)
        if (columns, rows) == (group.columns, group.room):
            return view
        self._state.handle(ListSized(columns, rows), time.monotonic())
        return self._present()

    def _present(self) -> PromptView:
        return present_prompt(self._state, time.monotonic(), self._lookup)
