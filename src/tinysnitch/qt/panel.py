"""What blocks of a page are made of: a quiet background, and widgets that are kept from one view to the next."""

from collections.abc import Callable
from typing import TypeVar

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from tinysnitch.qt.theme import Look

_Widget = TypeVar("_Widget", bound=QWidget)


def take(pool: list[_Widget], count: int, make: Callable[[], _Widget]) -> list[_Widget]:
    """So many widgets of a pool, which grows; the others are hidden."""
    while len(pool) < count:
        pool.append(make())
    for number, widget in enumerate(pool):
        widget.setVisible(number < count)
    return pool[:count]


class Panel(QWidget):
    """A quiet background for what belongs together, with the rows of a column."""

    def __init__(self, parent: QWidget, name: str = "") -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.column = QVBoxLayout(self)
        self._look: Look | None = None
        self._is_warning = False

    def show_look(self, look: Look, *, is_warning: bool = False) -> None:
        self._look, self._is_warning = look, is_warning
        self.column.setContentsMargins(look.px(0.8), look.px(0.6), look.px(0.8), look.px(0.6))
        self.column.setSpacing(look.px(0.3))
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        if self._look is None:
            return
        theme = self._look.theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.behind_warning if self._is_warning else theme.panel)
        radius = self._look.em * 0.4
        painter.drawRoundedRect(QRectF(self.rect()), radius, radius)
        painter.end()
