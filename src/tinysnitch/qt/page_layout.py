"""A page as it is painted: boxes, texts and keys that can be clicked, in one coordinate system."""

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QPainter

from tinysnitch.qt.paragraph import Paragraph


class PageLayout:
    """A page that grows from top to bottom: `y` is where the next block begins."""

    def __init__(self) -> None:
        self.y = 0.0
        self.boxes: list[tuple[QRectF, QColor, float]] = []
        self.texts: list[tuple[QPointF, Paragraph]] = []
        self.keys: list[tuple[QRectF, str]] = []

    def add_box(self, box: QRectF, color: QColor, radius: float = 0.0) -> None:
        self.boxes.append((box, color, radius))

    def add_text(self, x: float, y: float, paragraph: Paragraph) -> None:
        self.texts.append((QPointF(x, y), paragraph))

    def add_key(self, box: QRectF, label: str) -> None:
        """A box that acts as the key with this label when it is clicked."""
        self.keys.append((box, label))

    def add_page(self, other: "PageLayout", y: float) -> None:
        """Add everything of another page, moved down by `y`."""
        self.boxes += [(box.translated(0, y), color, radius) for box, color, radius in other.boxes]
        self.texts += [(place + QPointF(0, y), paragraph) for place, paragraph in other.texts]
        self.keys += [(box.translated(0, y), label) for box, label in other.keys]

    def find_key(self, place: QPointF) -> str | None:
        """The label of the key that is shown at this place, if any."""
        return next((label for box, label in self.keys if box.contains(place)), None)

    def paint(self, painter: QPainter) -> None:
        for box, color, radius in self.boxes:
            painter.setBrush(color)
            painter.drawRoundedRect(box, radius, radius)
        for place, paragraph in self.texts:
            painter.setPen(paragraph.color)
            paragraph.layout.draw(painter, place)
            painter.setPen(QColor(0, 0, 0, 0))
