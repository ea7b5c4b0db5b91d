"""A widget that paints rows of text, and of those only the ones that changed: a slow line is not kept busy."""

from collections.abc import Callable

from rich.text import Text
from textual.geometry import Region, Size
from textual.widget import Widget

from tinysnitch.tui.rows import key_at, question_at

Draw = Callable[[int, int], list[Text]]  # of a width and a height


def _paint_nothing() -> None:
    pass


class RowsWidget(Widget):
    def __init__(self, draw: Draw, painted: Callable[[], None] = _paint_nothing) -> None:
        super().__init__()
        self._draw = draw
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
        """Draw anew, and have only the rows painted that changed: a countdown must not keep a slow line busy."""
        width, height = self.size
        if not width or not height:  # it is not laid out yet
            return
        before = _padded(self._drawn, height)
        self._draw_all()
        now = _padded(self._drawn, height)
        changed = [row for row in range(height) if before[row] != now[row]]
        if changed:
            self._is_painting_due = True
            self.refresh(*(Region(0, row, width, 1) for row in changed))
        elif not self._is_painting_due:
            self._painted()

    def key_at(self, column: int, row: int) -> str | None:
        """The name of the key whose hint was drawn there, on the screen."""
        drawn, at = self._row_at(column, row)
        return key_at(drawn, at)

    def question_at(self, column: int, row: int) -> int | None:
        """The question of a list that was drawn there, on the screen."""
        drawn, at = self._row_at(column, row)
        return question_at(drawn, at)

    def _row_at(self, column: int, row: int) -> tuple[Text, int]:
        """The row, and the column in it; of a place outside a row without anything."""
        left, top, width, height = self.region
        is_inside = left <= column < left + width and top <= row < top + min(height, len(self._drawn))
        return (self._drawn[row - top], column - left) if is_inside else (Text(), 0)

    def _draw_all(self) -> None:
        self._drawn, self._drawn_size = self._draw(*self.size), self.size


def _padded(rows: list[Text], height: int) -> list[Text]:
    return [*rows, *[Text()] * (height - len(rows))]
