"""The icon in the desktop's tray, where there is one: grey, and coloured while a question waits. Its menu opens the
pages, brings a question back that was hidden, and quits.
"""

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap, QPolygonF
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from tinysnitch.view.pages.tabs import PageName

QUIET, CALLING = QColor("#8a8f98"), QColor("#e07b00")
_SIZE = 64  # pixels; the desktop scales it
_SHIELD = ((8, 10), (32, 4), (56, 10), (56, 32), (50, 46), (32, 60), (14, 46), (8, 32))
_TITLES = {
    PageName.LIVE: "Who talks now",
    PageName.HISTORY: "History",
    PageName.NAMES: "Names",
    PageName.RULES: "Rules",
}


class Tray:
    def __init__(
        self, open_page: Callable[[PageName], None], bring_back: Callable[[], None], leave: Callable[[], None]
    ) -> None:
        self._icons = {is_calling: _draw(CALLING if is_calling else QUIET) for is_calling in (False, True)}
        self._menu = QMenu()
        self._question = self._menu.addAction("The question", bring_back)
        for page, title in _TITLES.items():
            self._menu.addAction(title, partial(open_page, page))
        self._menu.addSeparator()
        self._menu.addAction("Quit", leave)
        self.icon = QSystemTrayIcon()
        self.icon.setContextMenu(self._menu)
        self.icon.activated.connect(lambda reason: self._activate(reason, open_page, bring_back))
        self._waiting = 0
        self.tell_waiting(0)

    def show(self) -> None:
        self.icon.show()

    def tell_waiting(self, count: int) -> None:
        """So many questions wait."""
        self._waiting = count
        self._question.setEnabled(count > 0)
        self.icon.setIcon(self._icons[count > 0])
        self.icon.setToolTip(f"tinysnitch: {count} waiting" if count else "tinysnitch")

    def _activate(
        self,
        reason: QSystemTrayIcon.ActivationReason,
        open_page: Callable[[PageName], None],
        bring_back: Callable[[], None],
    ) -> None:
        """A click: to the question, if one waits, else to who talks now."""
        if reason is QSystemTrayIcon.ActivationReason.Trigger:
            bring_back() if self._waiting else open_page(PageName.LIVE)


def has_tray() -> bool:
    return QSystemTrayIcon.isSystemTrayAvailable()


def _draw(color: QColor) -> QIcon:
    picture = QPixmap(_SIZE, _SIZE)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(color)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in _SHIELD]))
    painter.end()
    return QIcon(picture)
