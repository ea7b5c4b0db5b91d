"""The agent with samples for questions and a window in memory."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QInputMethodEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from tests.lab.patience import WAIT_S, wait_until
from tests.qt.sample_views import spoken
from tests.view.sample_prompts import CURL, connection_of, prompt_of
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice, Lifetime
from tinysnitch.kernel.proc import procfs
from tinysnitch.protocol.messages import PromptSettings, Theme
from tinysnitch.qt import prompt_agent
from tinysnitch.qt.demo import SAMPLES, sample_prompt
from tinysnitch.qt.prompt_agent import PromptAgent
from tinysnitch.qt.prompt_window import PromptWindow
from tinysnitch.qt.theme import DARK, LIGHT
from tinysnitch.view import key_guard
from tinysnitch.view.key_guard import PASTED_S, TYPING_S
from tinysnitch.view.pages.tabs import PageName
from tinysnitch.view.prompt_events import (
    Answer,
    Answers,
    DaemonGreeted,
    Event,
    QuestionClosed,
    QuestionOpened,
    SettingsGiven,
    ToDaemon,
)

DELAY_S = 0.05


class Link:
    def __init__(self) -> None:
        self.answers: list[Answer] = []

    def answer(self, given: ToDaemon) -> None:
        self.answers += given.answers if isinstance(given, Answers) else ()


class Stage:
    def __init__(self, application: QApplication) -> None:
        self.window = PromptWindow()
        self.agent = PromptAgent(self.window, DELAY_S)
        self.link = self.agent.link = Link()

    def ask(self, prompt_id: int, name: str = "question") -> None:
        self.tell(QuestionOpened(sample_prompt(prompt_id, SAMPLES[name])))

    def tell(self, event: Event) -> None:
        self.agent.tell(event)
        QApplication.processEvents()

    def type(self, name: str, typed_s: float) -> None:
        """Type a key, and wait until no other key can come with it."""
        self.agent.press(name, typed_s)
        wait_until(lambda: QTest.qWait(5) or not self.agent._piece.holds_keys)

    def texts(self) -> list[str]:
        return spoken(self.window)

    @property
    def ready_s(self) -> float:
        """Wait until keys count."""
        ready_s = self.agent.state.guard.ready_s
        assert ready_s is not None
        return ready_s

    def wait_paint(self) -> None:
        wait_until(lambda: QTest.qWait(5) or self.agent.state.next_change_s())


@pytest.fixture
def stage(application: QApplication, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """The window is left at the end, else it would be painted each second during later tests."""
    monkeypatch.setattr(key_guard, "LATE_S", WAIT_S)  # else keys would not count where the machine is late
    made = Stage(application)
    yield made
    made.agent._hide_or_leave()
    made.window.hide()


def test_the_window_is_as_the_settings_say_also_when_they_change(stage: Stage) -> None:
    for theme, background in ((Theme.LIGHT, LIGHT.background), (Theme.DARK, DARK.background)):
        settings = PromptSettings(theme=theme)
        stage.tell(SettingsGiven(settings) if stage.window.isVisible() else DaemonGreeted(settings=settings))
        stage.ask(1)
        stage.wait_paint()
        assert stage.window.grab().toImage().pixelColor(5, 5) == background


def test_the_window_is_there_while_a_question_is(stage: Stage) -> None:
    assert not stage.window.isVisible()
    stage.ask(1)
    assert stage.window.isVisible()
    assert stage.window.windowTitle().startswith("curl wants to reach")
    stage.tell(QuestionClosed(1, "denied"))
    assert not stage.window.isVisible()
    assert not stage.agent._ticker.isActive()  # nothing runs until news come


def test_a_window_that_appears_is_not_left_by_a_key_of_before(stage: Stage) -> None:
    stage.ask(1)
    stage.wait_paint()
    stage.type("q", stage.ready_s - DELAY_S / 2)
    assert stage.window.isVisible()


def test_the_window_stays_until_the_key_that_answered_is_let_go(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is still held would repeat in the window behind, and answer what that asks."""
    monkeypatch.setattr(prompt_agent, "LET_GO_S", WAIT_S)  # however late it is looked at
    stage.ask(1)
    stage.wait_paint()
    QTest.qWait(100)
    QTest.keyPress(stage.window, Qt.Key.Key_Y)
    wait_until(lambda: QTest.qWait(5) or len(stage.link.answers) == 1)
    stage.tell(QuestionClosed(1, "answered"))
    QTest.qWait(100)
    assert stage.window.isVisible()
    QTest.keyRelease(stage.window, Qt.Key.Key_Y)
    wait_until(lambda: QTest.qWait(5) or not stage.window.isVisible())


def test_a_key_of_whose_end_we_do_not_hear_keeps_it_for_a_moment(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_agent, "LET_GO_S", WAIT_S)
    stage.ask(1)
    QTest.keyPress(stage.window, Qt.Key.Key_Shift)
    stage.tell(QuestionClosed(1, "denied"))
    assert stage.window.isVisible()
    monkeypatch.setattr(prompt_agent, "LET_GO_S", 0.1)
    QTest.keyPress(stage.window, Qt.Key.Key_H)  # without a question there is no help
    wait_until(lambda: QTest.qWait(5) or not stage.window.isVisible())
    stage.ask(2)
    assert "curl wants to reach www.example.com" in stage.texts()


def test_a_key_typed_while_nothing_ran_does_not_count(stage: Stage) -> None:
    guard = stage.agent.state.guard
    guard.delay_s = WAIT_S
    stage.ask(1)
    stage.wait_paint()
    guard._ready_s = guard._keyboard_s = time.monotonic() - 2 * WAIT_S  # the delay ended long ago
    stage.type("n", time.monotonic())
    assert (stage.link.answers, stage.ready_s > time.monotonic()) == ([], True)


def test_a_key_counts_when_it_was_typed_after_the_delay(stage: Stage) -> None:
    stage.ask(1)
    stage.type("n", time.monotonic() + 9)  # nothing was painted yet
    stage.wait_paint()
    typed_s = stage.ready_s - 0.001
    stage.type("n", typed_s)
    assert stage.link.answers == []
    assert stage.ready_s <= typed_s + TYPING_S
    stage.type("n", stage.ready_s)
    assert stage.link.answers == [Answer(1, Choice(verdict=Verdict.DENY, any_args=True), holds="for 9 minutes")]
    assert not stage.window.isVisible()


def test_a_text_that_a_program_types_at_once_answers_nothing(stage: Stage) -> None:
    stage.ask(1)
    stage.wait_paint()
    later = time.monotonic() + 1
    for number, letter in enumerate("pony"):
        stage.agent.press(letter, later + number * PASTED_S / 2)
    QTest.qWait(int(PASTED_S * 2000))
    assert stage.link.answers == []
    stage.type("y", later + 2)
    assert stage.link.answers == [Answer(1, Choice(verdict=Verdict.ALLOW, any_args=True), holds="for 9 minutes")]


def test_a_key_that_waits_for_what_comes_with_it_shows_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.ask(1)
    stage.wait_paint()
    shown: list[object] = []
    monkeypatch.setattr(stage.window, "show_view", shown.append)
    stage.agent.press("y", stage.ready_s)
    assert (stage.agent._piece.holds_keys, shown) == (True, [])


def test_who_edits_a_rule_whose_question_ends_keeps_the_window(stage: Stage) -> None:
    """Else a person who types on would type into the window behind."""
    stage.ask(1)
    stage.wait_paint()
    stage.type("e", time.monotonic() + 1)
    stage.tell(QuestionClosed(1, "no answer"))
    assert stage.window.isVisible()
    stage.type("escape", time.monotonic() + 2)
    assert not stage.window.isVisible()


def test_a_key_for_a_question_that_is_gone_answers_none_that_was_not_painted_yet(stage: Stage) -> None:
    stage.ask(1)
    stage.ask(2, "long")
    stage.wait_paint()
    stage.agent.tell(QuestionClosed(1, "answered by alice"))  # Qt has not painted the next question yet
    stage.type("y", time.monotonic() + 9)
    assert stage.link.answers == []
    stage.wait_paint()
    stage.type("y", time.monotonic() + 9)
    assert [answer.prompt_id for answer in stage.link.answers] == [2]


def test_news_of_one_moment_are_shown_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(stage.window, "show_view", lambda view: shown.append(view.title))
    for prompt_id in range(1, 200):
        stage.agent.tell(QuestionOpened(sample_prompt(prompt_id, SAMPLES["question"])))
    QApplication.processEvents()
    assert 1 <= len(shown) <= 3  # the keyboard comes to it, too


def test_when_the_keyboard_comes_keys_wait_once_more_and_clicks_do_not(stage: Stage) -> None:
    stage.ask(1)
    stage.wait_paint()
    QTest.qWait(int(DELAY_S * 1000) + 1)
    now = time.monotonic()
    stage.window.focused.emit()
    stage.agent.click("o", now + DELAY_S / 2)
    stage.type("y", now + DELAY_S / 2)
    assert stage.link.answers == []
    stage.type("y", now + 1)
    assert stage.link.answers == [
        Answer(1, Choice(verdict=Verdict.ALLOW, lifetime=Lifetime.ONCE, any_args=True), holds="once")
    ]


def test_a_click_into_the_window_ends_that_wait(stage: Stage) -> None:
    stage.ask(1)
    stage.wait_paint()
    now = max(time.monotonic(), stage.ready_s)
    stage.window.focused.emit()
    stage.agent.state.guard._keyboard_s = now + WAIT_S
    QTest.qWait(int(DELAY_S * 1000) + 1)
    QTest.mouseClick(stage.window, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QPoint(3, 3))
    stage.type("n", time.monotonic())
    assert [answer.prompt_id for answer in stage.link.answers] == [1]


def test_an_input_method_writes_into_the_line(stage: Stage) -> None:
    stage.ask(1)
    stage.wait_paint()
    stage.type("e", time.monotonic() + 1)
    field = stage.window.focusWidget()
    event = QInputMethodEvent()
    event.setCommitString("é")
    QApplication.sendEvent(field, event)
    assert stage.agent.state.edit.text.endswith("/curlé")
    assert [text for text in stage.texts() if text.startswith("column")] == []


@pytest.mark.parametrize("key", ["h", "l"])
def test_a_help_whose_question_is_gone_hides_no_other(stage: Stage, key: str) -> None:
    """The help is closed with the window, since nobody could see and close it."""
    stage.ask(1)
    stage.wait_paint()
    stage.type(key, time.monotonic() + 1)
    stage.tell(QuestionClosed(1, "no answer"))
    assert not stage.window.isVisible()
    stage.ask(2, "inbound")
    assert [text for text in stage.texts() if text.startswith("any key")] == []
    assert "ssh visitor 198.51.100.7 wants to reach sshd" in stage.texts()


def test_the_help_says_that_q_hides_the_window(stage: Stage) -> None:
    stage.ask(1)
    stage.wait_paint()
    stage.type("h", time.monotonic() + 1)
    assert [text for text in stage.texts() if text.startswith("hide the window")] != []
    assert [text for text in stage.texts() if "make run" in text] == []


def test_a_program_that_ended_is_marked_at_the_next_tick(stage: Stage) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        status = procfs.read_stat(child.pid)
        assert status
        # nothing is looked up of a file that is not the host's: no other news come
        process = msgspec.structs.replace(CURL, pid=child.pid, started_ns=status.started_ns, is_host_file=False)
        stage.tell(QuestionOpened(prompt_of(1, connection_of(process))))
        stage.wait_paint()
        QTest.qWait(int(DELAY_S * 1000) + 100)  # until that keys count is shown: from then on there is the tick alone
        assert "/usr/bin/curl" in stage.texts()
    wait_until(lambda: QTest.qWait(5) or "/usr/bin/curl (has ended)" in stage.texts())


def test_what_is_pasted_goes_into_the_line(stage: Stage) -> None:
    stage.ask(1)
    stage.wait_paint()
    later = time.monotonic() + 1
    stage.agent.paste(" a\nb", later)  # where no line is edited
    for key in ("f", "e"):
        stage.agent.press(key, later)
    stage.agent.paste(" c\nd\n", later)
    assert stage.agent.state.edit.text.endswith("/curl c d")
    assert stage.link.answers == []


def test_what_is_looked_up_of_the_file_comes_into_sight_when_it_is_known(stage: Stage) -> None:
    itself = Path(os.path.realpath(sys.executable))
    process = msgspec.structs.replace(
        CURL, program=str(itself), executable=str(itself), inode=itself.stat().st_ino, args=()
    )
    stage.tell(QuestionOpened(prompt_of(1, connection_of(process))))
    assert "…" in stage.texts()
    wait_until(lambda: QTest.qWait(5) or "…" not in stage.texts())
    assert "package" in stage.texts()


def test_what_is_found_once_the_window_is_gone_is_told_to_nobody(
    application: QApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Callable[[], None]] = []
    monkeypatch.setattr(prompt_agent, "ProgramFiles", lambda tell: told.append(tell) or SimpleNamespace(find=None))
    PromptAgent(PromptWindow(), DELAY_S)
    told[0]()


def test_who_left_sees_the_window_again_with_the_next_question_and_its_delay(stage: Stage) -> None:
    stage.ask(1)
    stage.ask(3, "long")
    stage.wait_paint()
    stage.type("q", time.monotonic() + 1)
    assert not stage.window.isVisible()
    stage.ask(1)  # the same question again with another count
    stage.tell(QuestionClosed(3, "denied"))
    stage.type("y", time.monotonic() + 2)
    assert (stage.window.isVisible(), stage.link.answers) == (False, [])
    back_s = time.monotonic()
    stage.ask(2)
    assert stage.window.isVisible()
    assert len(stage.agent.state.questions) == 2
    stage.wait_paint()
    assert stage.ready_s >= back_s + DELAY_S
    stage.type("y", stage.ready_s - DELAY_S / 2)
    assert stage.link.answers == []


def test_who_left_finds_the_question_as_old_as_it_is(stage: Stage) -> None:
    stage.ask(1)
    before = stage.agent.state.questions[1]
    stage.wait_paint()
    QTest.qWait(200)
    stage.type("q", time.monotonic() + 1)
    stage.ask(2)
    after = stage.agent.state.questions[1]
    assert after.opened_s == pytest.approx(before.opened_s, abs=0.01)
    assert after.deadline_s == pytest.approx(before.deadline_s, abs=0.01)


def test_in_a_suspend_the_time_of_a_question_goes_on(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.ask(1)
    boot = time.clock_gettime
    monkeypatch.setattr(time, "clock_gettime", lambda clock: boot(clock) + 3600)
    wait_until(lambda: QTest.qWait(5) or "0 s, then deny" in stage.texts())
    stage.ask(2)
    assert stage.agent.state.questions[2].deadline_s > time.monotonic()


def test_the_time_in_an_edited_rule_is_of_the_clock_as_it_is_now(stage: Stage) -> None:
    stage.tell(QuestionOpened(prompt_of(1)))  # in 2023, as its daemon believed
    stage.wait_paint()
    stage.type("e", time.monotonic() + 1)
    assert "until the time in the line" in stage.texts()


def test_a_page_opens_from_the_question_with_its_program_and_answers_nothing(application: QApplication) -> None:
    stage = Stage(application)
    opened: list[tuple[PageName, str | None]] = []
    stage.agent.open_page = lambda page, program: opened.append((page, program))
    stage.ask(1)
    wait_until(lambda: QTest.qWait(5) or stage.agent.state.guard.ready_s)
    assert any("what else it does" in text for text in stage.texts())
    stage.type("f3", stage.ready_s + 1)
    stage.agent.click("f6", stage.ready_s + 2)
    program = SAMPLES["question"].attribution.process
    assert program
    assert opened == [(PageName.LIVE, program.program), (PageName.RULES, program.program)]
    assert (stage.link.answers, stage.window.isVisible()) == ([], True)


def test_how_many_wait_is_told_and_what_was_left_is_brought_back(application: QApplication) -> None:
    stage = Stage(application)
    told: list[int] = []
    stage.agent.tell_waiting = told.append
    stage.ask(1)
    stage.ask(2, "inbound")
    stage.window.closed.emit()
    assert (told, stage.window.isVisible()) == ([1, 2], False)
    sight = stage.agent.state.guard.sight
    stage.agent.bring_back()
    assert stage.window.isVisible()
    assert not stage.agent.state.guard.is_ready(time.monotonic()), "it counts as new"
    assert sight
    stage.tell(QuestionClosed(1, "answered"))
    assert told[-1] == 1
