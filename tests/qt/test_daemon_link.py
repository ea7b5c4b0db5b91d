"""The link in Qt's loop, against the real control server, which runs in a loop of its own."""

import asyncio
import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest

from tests.client.full_socket import FullSocket
from tests.client.odd_daemon import UNASKED, OddDaemon
from tests.lab.patience import wait_until
from tests.tui.question_daemon import QuestionDaemon, question_daemon
from tests.view.sample_prompts import prompt_of
from tinysnitch.client import prompt_client
from tinysnitch.client.connection_error import error_of_silence
from tinysnitch.client.control_client import ControlClient
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice
from tinysnitch.daemon.control import clients as control_clients
from tinysnitch.daemon.control.permissions import Permissions
from tinysnitch.protocol.framing import encode_frame
from tinysnitch.protocol.messages import Welcome, prompt_shown
from tinysnitch.qt import daemon_link
from tinysnitch.qt.daemon_link import QtDaemonLink
from tinysnitch.view.prompt_events import (
    Answer,
    AnswerRefused,
    Answers,
    ConnectionLost,
    DaemonGreeted,
    Event,
    NoticeGiven,
    QuestionClosed,
    QuestionOpened,
)

DENY = Choice(verdict=Verdict.DENY)
ANSWER = Answers((Answer(1, DENY),))
BOTH = Answers((Answer(1, DENY, holds="once"), Answer(2, DENY, holds="once")))


class Served:
    """A question daemon in another thread."""

    def __init__(self, path: Path, permissions: Permissions | None = None) -> None:
        self.daemon: QuestionDaemon
        self._path, self._permissions = path, permissions
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._is_there = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)

    async def _serve(self) -> None:
        async with question_daemon(self._path, self._permissions) as self.daemon:
            self._is_there.set()
            await self._end.wait()

    def call(self, act: object, *words: object) -> None:
        self._loop.call_soon_threadsafe(act, *words)  # type: ignore[arg-type]

    def start(self) -> None:
        self._thread.start()
        assert self._is_there.wait(60)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._loop.close()


@contextmanager
def serve(path: Path, permissions: Permissions | None = None) -> Iterator[Served]:
    served = Served(path, permissions)
    served.start()
    try:
        yield served
    finally:
        served.stop()


class Listener:
    def __init__(self, path: Path) -> None:
        self.told: list[Event] = []
        self.failures: list[SnitchError] = []
        self.link = QtDaemonLink(path, self.told.append, self.failures.append)
        self.link.start()

    def wait(self, event: Event) -> None:
        wait_until(lambda: QTest.qWait(5) or event in self.told, f"{event} is not in {self.told}")


def test_questions_come_and_go_and_are_answered(application: QGuiApplication, tmp_path: Path) -> None:
    with serve(tmp_path / "s") as served:
        listener = Listener(tmp_path / "s")
        listener.wait(DaemonGreeted())
        served.call(served.daemon.open, prompt_of(1))
        served.call(served.daemon.open, prompt_of(2))
        listener.wait(QuestionOpened(prompt_shown(prompt_of(2)).prompt))
        listener.link.answer(BOTH)
        for prompt_id in (1, 2):
            listener.wait(QuestionClosed(prompt_id, "answered by root"))
        listener.wait(NoticeGiven("answered 2 questions together: allow, once"))
        served.daemon.refusal = "too late"
        listener.link.answer(ANSWER)
        listener.wait(AnswerRefused(1, "too late"))
        listener.link.close()


def test_more_answers_at_once_than_the_socket_holds_reach_a_busy_daemon(
    application: QGuiApplication, tmp_path: Path
) -> None:
    """As many questions as one program can have open (core/model/settings.py)."""
    numbers = range(1, 513)
    with serve(tmp_path / "s") as served:
        listener = Listener(tmp_path / "s")
        listener.wait(DaemonGreeted())
        for number in numbers:
            served.call(served.daemon.open, prompt_of(number))
        listener.wait(QuestionOpened(prompt_shown(prompt_of(numbers[-1])).prompt))
        served.call(time.sleep, 0.5)
        listener.link.answer(Answers(tuple(Answer(number, DENY) for number in numbers)))
        listener.wait(QuestionClosed(numbers[-1], "answered by root"))
        assert served.daemon.answers.qsize() == len(numbers)
        assert not any(isinstance(event, ConnectionLost) for event in listener.told)
        listener.link.close()


def test_who_finds_no_place_comes_again(
    application: QGuiApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_clients, "MAX_CLIENTS", 1)
    monkeypatch.setattr(daemon_link, "RETRY_S", 0.01)
    with serve(tmp_path / "s"):
        with ControlClient(tmp_path / "s"):
            listener = Listener(tmp_path / "s")
            listener.wait(ConnectionLost("1 clients are connected already (close one of them)", is_gone=False))
        listener.wait(DaemonGreeted())
        assert listener.failures == []
        listener.link.close()


def test_who_is_refused_without_having_asked_comes_no_more(application: QGuiApplication, tmp_path: Path) -> None:
    with OddDaemon(tmp_path / "s", UNASKED, closes=False):
        listener = Listener(tmp_path / "s")
        wait_until(lambda: QTest.qWait(5) or listener.failures)
    assert [str(error) for error in listener.failures] == ["go away"]
    assert listener.told == [DaemonGreeted()]


def test_a_daemon_that_comes_back_is_followed_again(
    application: QGuiApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon_link, "RETRY_S", 0.01)
    listener = Listener(tmp_path / "s")
    assert isinstance(listener.told[0], ConnectionLost)
    for _ in range(2):
        with serve(tmp_path / "s"):
            listener.wait(DaemonGreeted())
        wait_until(lambda: QTest.qWait(5) or isinstance(listener.told[-1], ConnectionLost))
        listener.told[:] = []
    listener.link.answer(ANSWER)  # its question is gone: nothing to tell
    assert listener.failures == []
    listener.link.close()


def let_in(full: FullSocket, listener: Listener) -> None:
    full.make_room()
    wait_until(lambda: QTest.qWait(5) or select.select([full.server], [], [], 0)[0], "nobody knocks again")
    with full.server.accept()[0] as peer:
        peer.send(encode_frame(Welcome()))
        listener.wait(DaemonGreeted())
    listener.link.close()


def test_whoever_finds_no_place_knocks_again_at_once(
    application: QGuiApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon_link, "RETRY_S", 1000.0)
    with FullSocket(tmp_path / "s") as full:
        listener = Listener(tmp_path / "s")
        QTest.qWait(50)
        let_in(full, listener)
    assert listener.told[0] == DaemonGreeted()


def test_whoever_finds_no_place_for_long_is_told_and_goes_on(
    application: QGuiApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the prompt in a terminal does."""
    monkeypatch.setattr(prompt_client, "TIMEOUT_S", 0.05)
    monkeypatch.setattr(daemon_link, "RETRY_S", 0.01)
    with FullSocket(tmp_path / "s") as full:
        listener = Listener(tmp_path / "s")
        wait_until(lambda: QTest.qWait(5) or len(listener.told) > 1)
        let_in(full, listener)
    error = error_of_silence(tmp_path / "s")
    assert listener.told[0] == ConnectionLost(f"{error} ({error.hint})", is_gone=False)
    assert capsys.readouterr().err == f"tinysnitch: {error}; trying again each second\n"
