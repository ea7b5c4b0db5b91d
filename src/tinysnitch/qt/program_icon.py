"""The picture of a program: of its desktop file, or a plain window for all that have none."""

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QIcon, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from tinysnitch.qt.theme import Look

EMS = 2.8  # its size
THEMES = ["/usr/local/share/icons", "/usr/share/icons", "/var/lib/flatpak/exports/share/icons"]
PICTURES = ["/usr/share/pixmaps"]


def read_icons_of_root() -> None:
    """Read no picture that somebody else than root may have made: it would be taken for the program's."""
    QIcon.setThemeSearchPaths(THEMES)
    QIcon.setFallbackSearchPaths(PICTURES)


class ProgramIcon(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: tuple[str, Look] | None = None
        self._icon = QIcon()

    def show_icon(self, name: str, look: Look) -> None:
        """The icon of this name in the theme, or of this path; "" for the plain one."""
        if (name, look) == self._shown:
            return
        if self._shown is None or self._shown[0] != name:
            self._icon = QIcon(name) if name.startswith("/") else QIcon.fromTheme(name)
        self._shown = name, look
        self.setFixedSize(QSize(look.px(EMS), look.px(EMS)))
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        if self._shown is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        picture = self._icon.pixmap(self.size(), self.devicePixelRatio())
        if picture.isNull():
            _paint_window(painter, QRectF(self.rect()), self._shown[1])
        else:
            painter.drawPixmap(self.rect(), picture)
        painter.end()


def _paint_window(painter: QPainter, place: QRectF, look: Look) -> None:
    """A window with a title bar, as on any desktop."""
    pen = QPen(look.theme.quiet, look.em / 8)
    painter.setPen(pen)
    painter.setBrush(look.theme.panel)
    frame = place.adjusted(look.em * 0.2, look.em * 0.4, -look.em * 0.2, -look.em * 0.4)
    painter.drawRoundedRect(frame, look.em * 0.3, look.em * 0.3)
    bar = frame.top() + frame.height() * 0.3
    painter.drawLine(QPointF(frame.left(), bar), QPointF(frame.right(), bar))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(look.theme.quiet)
    for number in range(3):
        dot = QRectF(0, 0, look.em / 6, look.em / 6)
        dot.moveCenter(frame.topLeft())
        dot.translate(look.em * (0.4 + 0.35 * number), frame.height() * 0.15)
        painter.drawEllipse(dot)
