"""The window's colours: always dark, whatever the desktop's are, with yellow for what the rule covers, as in 2019."""

from PySide6.QtGui import QColor

BACKGROUND = QColor("#111214")
EDGE = QColor("#4a4f58")  # around a window that does not fill the screen
PANEL = QColor("#1c1e22")  # behind the rule line
KEY = QColor("#33373e")  # a key that counts
KEY_WAITING = QColor("#202328")  # a key that does not count yet
KEY_ON = QColor("#5a4a10")  # a key whose choice is on
TEXT = QColor("#e6e6e6")
QUIET = QColor("#9a9fa8")
COVERED = QColor("#ffd034")
WARNING = QColor("#ff8a70")
ALLOW = QColor("#1d6b35")
DENY = QColor("#8a2a2a")
BAR = QColor("#d9ae1e")
BAR_EMPTY = QColor("#2a2d33")
