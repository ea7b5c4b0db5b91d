"""The link in asyncio's loop; what it says and hears is tests/client/test_prompt_client.py."""

import asyncio
from pathlib import Path

import pytest

from tests.client.full_socket import FullSocket
from tests.client.odd_daemon import UNASKED, OddDaemon
from tests.tui.question_daemon import RULE, question_daemon
from tests.tui.waiting import until
from tests.view.sample_prompts import prompt_of
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice
from tinysnitch.protocol.framing import encode_frame
from tinysnitch.protocol.messages import Welcome, prompt_shown
from tinysnitch.tui import daemon_link
from tinysnitch.tui.daemon_link import DaemonLink
from tinysnitch.view.prompt_events import (
    Answer,
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


class Listener:
    """A running link, and the events that it told."""

    def __init__(self, path: Path) -> None:
        self.told: list[Event] = []
        self.link = DaemonLink(path, self.told.append)

    async def __aenter__(self) -> "Listener":
        self._task = asyncio.create_task(self.link.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def kinds(self) -> list[type[Event]]:
        return [type(event) for event in self.told]


def test_a_question_comes_is_answered_and_goes(tmp_path: Path) -> None:
    async def run() -> list[Event]:
        async with question_daemon(tmp_path / "s") as daemon, Listener(tmp_path / "s") as listener:
            await until(daemon.attached.is_set)
            daemon.open(prompt_of(1))
            await until(lambda: QuestionOpened in listener.kinds())
            listener.link.answer(ANSWER)
            await listener.link.finish()
            assert await daemon.answers.get() == (1, DENY)
            return listener.told

    assert asyncio.run(run()) == [
        DaemonGreeted(),
        QuestionOpened(prompt_shown(prompt_of(1)).prompt),
        QuestionClosed(1, "answered by root"),
        NoticeGiven(f"answered: {RULE}"),
    ]


def test_a_daemon_that_comes_back_is_followed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon_link, "RETRY_S", 0.01)

    async def run() -> None:
        async with Listener(tmp_path / "s") as listener:
            await until(lambda: ConnectionLost in listener.kinds())
            for _ in range(2):
                async with question_daemon(tmp_path / "s") as daemon:
                    await until(daemon.attached.is_set)
                count = len(listener.told)
                await until(lambda count=count: ConnectionLost in listener.kinds()[count - 1 :])  # type: ignore[misc]
            assert listener.kinds().count(DaemonGreeted) == 2

    asyncio.run(run())


def test_what_connecting_again_cannot_help_ends_it(tmp_path: Path) -> None:
    async def run() -> None:
        told: list[Event] = []
        with pytest.raises(SnitchError, match="go away"):
            await asyncio.wait_for(DaemonLink(tmp_path / "s", told.append).run(), 60)
        assert told == [DaemonGreeted()]

    with OddDaemon(tmp_path / "s", UNASKED, closes=False):
        asyncio.run(run())


def test_a_daemon_that_takes_no_answer_is_waited_for_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon_link, "ANSWER_S", 0.05)

    async def run() -> None:
        async with Listener(tmp_path / "s") as listener:
            await until(lambda: listener.told == [DaemonGreeted()])
            listener.link.answer(ANSWER)
            begun_s = asyncio.get_running_loop().time()
            await listener.link.finish()
            assert asyncio.get_running_loop().time() - begun_s >= 0.05
            assert listener.told == [DaemonGreeted()]

    with OddDaemon(tmp_path / "s", encode_frame(Welcome()), closes=False):
        asyncio.run(run())


def test_whoever_finds_no_place_knocks_again(tmp_path: Path) -> None:
    async def run(full: FullSocket) -> None:
        async with Listener(tmp_path / "s") as listener:
            await asyncio.sleep(0.05)
            full.make_room()
            full.server.setblocking(False)
            peer, _ = await asyncio.get_running_loop().sock_accept(full.server)
            with peer:
                peer.send(encode_frame(Welcome()))
                await until(lambda: listener.told == [DaemonGreeted()])

    with FullSocket(tmp_path / "s") as full:
        asyncio.run(run(full))
