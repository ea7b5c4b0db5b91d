from pathlib import Path

import pytest
from PySide6.QtGui import QColor, QIcon, QPixmap
from PySide6.QtWidgets import QApplication

from tinysnitch.qt.program_icon import ProgramIcon, read_icons_of_root
from tinysnitch.qt.theme import DARK, Look

LOOK = Look(DARK, 15.0, 1)


def middle_of(icon: ProgramIcon) -> QColor:
    return icon.grab().toImage().pixelColor(icon.width() // 2, icon.height() // 2 + 5)


def test_a_program_has_its_picture_or_a_plain_one(application: QApplication, tmp_path: Path) -> None:
    picture = QPixmap(64, 64)
    picture.fill(QColor("red"))
    assert picture.save(str(tmp_path / "red.png"))
    icon = ProgramIcon()
    icon.grab()  # it is empty before it shows anything
    icon.show_icon(str(tmp_path / "red.png"), LOOK)
    assert middle_of(icon) == QColor("red")
    for name in ("", "no-such-icon-987", str(tmp_path / "none.png")):
        icon.show_icon(name, LOOK)
        assert middle_of(icon) == DARK.panel


@pytest.mark.usefixtures("application")
def test_pictures_of_the_user_are_not_read() -> None:
    before = QIcon.themeSearchPaths(), QIcon.fallbackSearchPaths()
    try:
        read_icons_of_root()
        paths = [*QIcon.themeSearchPaths(), *QIcon.fallbackSearchPaths()]
        assert [path for path in paths if not path.startswith(("/usr/", "/var/lib/"))] == []
    finally:
        QIcon.setThemeSearchPaths(before[0])
        QIcon.setFallbackSearchPaths(before[1])
