"""A label of spans, in so many rows as it may take: cut in the middle on the screen, whole for a screen reader."""

import math

from PySide6.QtCore import QPointF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QWidget

from tinysnitch.qt.paragraph import Paragraph, Style, text_width
from tinysnitch.view.span import Span, text_of

_LEAST_EMS = 4  # the least width that a layout may give it


class SpanLabel(QLabel):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)  # Qt itself shows nothing of the text, but reads it out
        self.setWordWrap(True)  # else a layout would not ask for the height
        self._shown: tuple[tuple[Span, ...], Style, int] | None = None
        self._paragraph: tuple[float, Paragraph] | None = None  # as fitted last, and into which width

    def show_text(self, text: str, style: Style, rows: int = 1) -> None:
        self.show_spans((Span(text),), style, rows)

    def show_spans(self, spans: tuple[Span, ...], style: Style, rows: int = 1) -> None:
        if (spans, style, rows) == self._shown:
            return
        self._shown, self._paragraph = (spans, style, rows), None
        self.setText(text_of(spans))
        self.updateGeometry()
        self.update()

    def _fit(self, width: float) -> Paragraph:
        if self._paragraph is None or self._paragraph[0] != width:
            assert self._shown
            self._paragraph = width, Paragraph(*self._shown[:2], width, self._shown[2])
        return self._paragraph[1]

    # what Qt calls

    def heightForWidth(self, width: int) -> int:
        return math.ceil(self._fit(width).height) if self._shown else 0

    def sizeHint(self) -> QSize:
        if self._shown is None:
            return QSize(0, 0)
        spans, style, _rows = self._shown
        width = math.ceil(sum(text_width(span.text, style.font_of(span)) for span in spans)) + 1
        return QSize(width, self.heightForWidth(width))

    def minimumSizeHint(self) -> QSize:
        if self._shown is None:
            return QSize(0, 0)
        least = _LEAST_EMS * self._shown[1].font.pixelSize()
        return QSize(min(self.sizeHint().width(), least), self.sizeHint().height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        if self._shown:
            painter = QPainter(self)
            painter.setPen(self._shown[1].color)
            self._fit(self.width()).layout.draw(painter, QPointF(0, 0))
            painter.end()
