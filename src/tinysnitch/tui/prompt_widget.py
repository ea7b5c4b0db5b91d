"""The widget of the terminal's prompt: the page that the state shows now."""

from collections.abc import Callable

from tinysnitch.tui.page import PageDrawer
from tinysnitch.tui.rows_widget import RowsWidget
from tinysnitch.view.help_view import HelpRow
from tinysnitch.view.lookup import Lookup
from tinysnitch.view.prompt_state import PromptState


class PromptWidget(RowsWidget):
    def __init__(
        self, state: PromptState, lookup: Lookup, painted: Callable[[], None], more_help: tuple[HelpRow, ...] = ()
    ) -> None:
        self._drawer = PageDrawer(state, lookup, more_help)
        super().__init__(self._drawer.draw, painted)

    def turn_page(self, key: str) -> bool:
        return self._drawer.turn_page(key, *self.size)

    def scroll_help(self, step: int) -> bool:
        return self._drawer.scroll_help(step, *self.size)
