"""The window's colours and fonts: light or dark as the desktop has it, with yellow for what the rule covers."""

import msgspec
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QPalette

from tinysnitch.protocol import messages as msg
from tinysnitch.qt.paragraph import Style

_MIDDLE_GREY = 128  # a desktop that does not tell its scheme, and has a window background below it, is dark


class Theme(msgspec.Struct, frozen=True):
    background: QColor
    edge: QColor  # around the window
    panel: QColor  # behind who, where and the rule
    text: QColor
    quiet: QColor
    covered: QColor  # what the rule covers
    warning: QColor
    behind_warning: QColor
    key: QColor  # a key that counts
    key_waiting: QColor  # a key that does not count yet
    key_on: QColor  # a key whose choice is on
    allow: QColor
    deny: QColor
    on_answer: QColor  # text on `allow` and `deny`


DARK = Theme(
    background=QColor("#1b1d21"),
    edge=QColor("#4a4f58"),
    panel=QColor("#25282d"),
    text=QColor("#e9eaec"),
    quiet=QColor("#9ba1ab"),
    covered=QColor("#ffd034"),
    warning=QColor("#ffb59e"),
    behind_warning=QColor("#4a2018"),
    key=QColor("#383c44"),
    key_waiting=QColor("#25282d"),
    key_on=QColor("#5a4a10"),
    allow=QColor("#1f7a3d"),
    deny=QColor("#a03434"),
    on_answer=QColor("#ffffff"),
)
LIGHT = Theme(
    background=QColor("#ffffff"),
    edge=QColor("#b6bbc4"),
    panel=QColor("#f2f3f5"),
    text=QColor("#17191c"),
    quiet=QColor("#5d6470"),
    covered=QColor("#7a5200"),
    warning=QColor("#8c1d06"),
    behind_warning=QColor("#ffe4dc"),
    key=QColor("#e2e5ea"),
    key_waiting=QColor("#f2f3f5"),
    key_on=QColor("#ffe9a8"),
    allow=QColor("#1d7a3b"),
    deny=QColor("#b3322f"),
    on_answer=QColor("#ffffff"),
)
_THEMES = {msg.Theme.LIGHT: LIGHT, msg.Theme.DARK: DARK}


def find_theme(wanted: msg.Theme) -> Theme:
    """The theme that is wanted; for `auto` the one that is like the desktop."""
    if wanted in _THEMES:
        return _THEMES[wanted]
    scheme = QGuiApplication.styleHints().colorScheme()
    if scheme is Qt.ColorScheme.Unknown:
        background = QGuiApplication.palette().color(QPalette.ColorRole.Window)
        return DARK if background.lightness() < _MIDDLE_GREY else LIGHT
    return DARK if scheme is Qt.ColorScheme.Dark else LIGHT


class Look(msgspec.Struct, frozen=True):
    """How a page is drawn: colours, size of the type, and how many rows a fact may take."""

    theme: Theme
    em: float  # the size of the type, in logical pixels
    rows: int

    def font(self, scale: float = 1.0, *, is_bold: bool = False, is_fixed: bool = False) -> QFont:
        font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont) if is_fixed else QGuiApplication.font()
        font.setPixelSize(max(1, round(self.em * scale)))
        font.setBold(is_bold)
        return font

    def style(
        self,
        color: QColor | None = None,
        scale: float = 1.0,
        *,
        is_bold: bool = False,
        is_fixed: bool = False,
        is_right: bool = False,
    ) -> Style:
        font = self.font(scale, is_bold=is_bold, is_fixed=is_fixed)
        return Style(font, color or self.theme.text, self.theme.covered, self.theme.quiet, is_right)

    def px(self, ems: float) -> int:
        return round(self.em * ems)
