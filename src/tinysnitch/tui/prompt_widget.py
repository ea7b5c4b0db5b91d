"""The only widget of the terminal's prompt: paints the rows of the page that changed."""

from collections.abc import Callable

from rich.text import Text
from textual.geometry import Region, Size
from textual.widget import Widget

from tinysnitch.tui.page import PageDrawer
from tinysnitch.tui.rows import key_at, question_at
from tinysnitch.view.lookup import Lookup
from tinysnitch.view.prompt_state import PromptState


class PromptWidget(Widget):
    def __init__(self, state: PromptState, lookup: Lookup, painted: Callable[[], None]) -> None:
        super().__init__()
        self._drawer = PageDrawer(state, lookup)
        self._painted = painted  # called when the rows that were drawn last are painted
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
        return self._drawer.turn_page(key, *self.size)

    def scroll_help(self, step: int) -> bool:
        return self._drawer.scroll_help(step, *self.size)

    def key_at(self, column: int, row: int) -> str | None:
        """The name of the key whose hint was drawn there."""
        return key_at(self._drawn[row], column) if 0 <= row < len(self._drawn) else None

    def question_at(self, column: int, row: int) -> int | None:
        """The question of a list that was drawn there."""
        return question_at(self._drawn[row], column) if 0 <= row < len(self._drawn) else None

    def _draw_all(self) -> None:
        self._drawn, self._drawn_size = self._drawer.draw(*self.size), self.size


def _padded(rows: list[Text], height: int) -> list[Text]:
    return [*rows, *[Text()] * (height - len(rows))]
