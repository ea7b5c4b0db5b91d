import pytest
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication, QSystemTrayIcon

from tinysnitch.qt.pages.tray import CALLING, QUIET, Tray, has_tray
from tinysnitch.view.pages.tabs import PageName


class Desk:
    def __init__(self) -> None:
        self.done: list[object] = []
        self.tray = Tray(self.done.append, lambda: self.done.append("question"), lambda: self.done.append("quit"))

    @property
    def color(self) -> QColor:
        return self.tray.icon.icon().pixmap(64, 64).toImage().pixelColor(32, 32)

    def click(self) -> object:
        self.tray.icon.activated.emit(QSystemTrayIcon.ActivationReason.Trigger)
        return self.done[-1]


def test_it_is_grey_and_coloured_while_a_question_waits(application: QApplication) -> None:
    desk = Desk()
    assert (desk.color, desk.tray.icon.toolTip()) == (QUIET, "tinysnitch")
    desk.tray.tell_waiting(2)
    assert (desk.color, desk.tray.icon.toolTip()) == (CALLING, "tinysnitch: 2 waiting")


def test_a_click_goes_to_the_question_or_to_who_talks_now(application: QApplication) -> None:
    desk = Desk()
    assert desk.click() is PageName.LIVE
    desk.tray.tell_waiting(1)
    assert desk.click() == "question"


def test_the_menu_opens_the_pages_and_quits(application: QApplication) -> None:
    desk = Desk()
    menu = desk.tray.icon.contextMenu()
    assert not menu.actions()[0].isEnabled()
    for action in menu.actions()[1:]:
        action.trigger()
    assert desk.done == [PageName.LIVE, PageName.HISTORY, PageName.NAMES, PageName.RULES, "quit"]


def test_without_a_tray_there_is_none(application: QApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", lambda: False)
    assert not has_tray()
    Desk().tray.show()
