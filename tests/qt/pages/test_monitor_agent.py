"""The agent of the pages at a daemon that the test plays."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from tests.lab.patience import wait_until
from tests.qt.test_daemon_link import Served, serve
from tests.view.live.sample_traffic import CURL, entry
from tests.view.pages.open_page import LINES, entry_of
from tinysnitch.core.rules.changes import Act, Change, ChangedRule
from tinysnitch.qt.pages.monitor_agent import MonitorAgent
from tinysnitch.qt.pages.monitor_window import MonitorWindow
from tinysnitch.view.pages.rules_page import RulesPage
from tinysnitch.view.pages.tabs import PageName
from tinysnitch.view.prompt_events import KeyPressed


class Stage:
    def __init__(self, path: Path, served: Served) -> None:
        self.daemon, self._served = served.daemon, served
        self.daemon.rules = [entry_of(line) for line in LINES]
        self.window = MonitorWindow()
        self.agent = MonitorAgent(self.window, str(path), is_for_user=lambda: False)
        self._now = 100.0

    def see(self, text: str) -> None:
        wait_until(lambda: QTest.qWait(5) or any(text in cell for cell in self.cells()), f"{text!r}: {self.cells()}")

    def cells(self) -> list[str]:
        model = self.window.model
        places = (model.index(row, at) for row in range(model.rowCount()) for at in range(model.columnCount()))
        return [self.agent.page.notice, self.window._title.text(), *map(str, map(model.data, places))]

    def count(self, *names: str) -> None:
        wait_until(lambda: QTest.qWait(5) or self.daemon.watchers)
        self._served.call(self.daemon.count, *(entry(name=name) for name in names))

    @property
    def rules(self) -> RulesPage:
        page = self.agent.pages[PageName.RULES]
        assert isinstance(page, RulesPage)
        return page

    def press(self, *names: str) -> None:
        for name in names:
            self._now += 1
            self.agent.press(KeyPressed(name), self._now)


@pytest.fixture(name="stage")
def _stage(application: QApplication, tmp_path: Path) -> Iterator[Stage]:
    with serve(tmp_path / "s") as served:
        stage = Stage(tmp_path / "s", served)
        yield stage
        stage.window.close()


def test_it_looks_while_the_live_page_is_in_sight_and_no_longer(stage: Stage) -> None:
    stage.agent.open()
    stage.see("nobody talks")
    stage.count("shop.test")
    stage.see("▸ curl")
    stage.press("f6")
    stage.see("3 rules")
    wait_until(lambda: QTest.qWait(5) or not stage.daemon.watchers)
    stage.press("f3")
    wait_until(lambda: QTest.qWait(5) or stage.daemon.watchers)
    stage.press("q")
    assert not stage.window.isVisible()
    wait_until(lambda: QTest.qWait(5) or not stage.daemon.watchers)


def test_from_a_question_the_row_of_its_program_is_selected(stage: Stage) -> None:
    stage.agent.open(PageName.LIVE, CURL)
    stage.count("shop.test")
    stage.see("shop.test :443")
    assert stage.agent.live.node
    assert stage.agent.live.node.name == CURL
    assert stage.window.table.currentIndex().row() == 0


def test_rules_are_changed_and_refusals_told(stage: Stage) -> None:
    stage.agent.open(PageName.RULES)
    stage.see("3 rules")
    stage.press("down", "x", "enter")
    stage.see(f"removed: {LINES[0]}")
    assert stage.daemon.changes == [("removed", LINES[0])]
    change = Change(number=7, wall_s=0.0, uid=os.geteuid(), act=Act.REMOVE, rules=(ChangedRule(LINES[1]),))
    stage.daemon.undo.changes = [change]
    stage.press("r")
    wait_until(lambda: QTest.qWait(5) or stage.rules.changes)
    stage.press("z", "enter")
    stage.see(f"taken back: {LINES[1]} (change 7, by you)")
    stage.press("a")
    stage.window.edited.emit("deny b.test - -", 5)
    stage.window.pasted.emit("")
    stage.press("enter")
    stage.see("written: deny b.test - -")


def test_whoever_sees_only_their_own_writes_for_themselves(stage: Stage) -> None:
    stage.agent._is_for_user = lambda: True
    stage.agent.open(PageName.RULES)
    stage.see("3 rules")
    stage.press("a")
    assert stage.agent.page.edit
    assert stage.agent.page.edit.text == f"allow user={os.getuid()} "
