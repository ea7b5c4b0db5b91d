import asyncio
from pathlib import Path

import pytest

from tests.client.odd_daemon import UNASKED, OddDaemon
from tests.daemon.requests.small_handler import ALICE, Comers
from tests.tui.question_daemon import RULE, question_daemon
from tests.tui.waiting import until
from tests.view.sample_prompts import late_prompt, prompt_of
from tinysnitch.client.prompt_client import PromptClient
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice
from tinysnitch.daemon.control import clients as control_clients
from tinysnitch.protocol.messages import prompt_shown
from tinysnitch.tui import daemon_link
from tinysnitch.tui.daemon_link import DaemonLink
from tinysnitch.view.line_edit import MAX_LENGTH
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


def test_questions_come_and_go(tmp_path: Path) -> None:
    async def run() -> list[Event]:
        async with question_daemon(tmp_path / "s") as daemon, Listener(tmp_path / "s") as listener:
            await until(daemon.attached.is_set)
            daemon.open(prompt_of(1))
            daemon.close(1, "denied", by_uid=0)
            daemon.clients.push_notice("rules not loaded", "see line 3")
            await until(lambda: len(listener.told) == 4)
            return listener.told

    assert asyncio.run(run()) == [
        DaemonGreeted(),
        QuestionOpened(prompt_shown(prompt_of(1)).prompt),
        QuestionClosed(1, "denied by root"),
        NoticeGiven("rules not loaded (see line 3)"),
    ]


def test_a_question_that_is_heard_of_late_has_no_more_time(tmp_path: Path) -> None:
    async def run() -> Event:
        async with question_daemon(tmp_path / "s") as daemon, Listener(tmp_path / "s") as listener:
            daemon.open(late_prompt())
            await until(lambda: len(listener.told) > 1)
            return listener.told[1]

    heard = asyncio.run(run())
    assert isinstance(heard, QuestionOpened)
    assert heard.prompt.remaining_s <= 20.0


def test_how_far_our_right_goes_is_told(tmp_path: Path) -> None:
    async def run() -> None:
        async with question_daemon(tmp_path / "s", Comers(ALICE)), Listener(tmp_path / "s") as listener:
            await until(lambda: listener.told)
            assert listener.told == [DaemonGreeted(is_for_user=True)]

    asyncio.run(run())


def test_who_is_refused_without_having_asked_comes_no_more(tmp_path: Path) -> None:
    async def run() -> None:
        told: list[Event] = []
        with pytest.raises(SnitchError, match="go away"):
            await asyncio.wait_for(DaemonLink(tmp_path / "s", told.append).run(), 60)
        assert told == [DaemonGreeted()]

    with OddDaemon(tmp_path / "s", UNASKED, closes=False):
        asyncio.run(run())


def test_who_finds_no_place_comes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a restart of the daemon, if other clients were quicker."""
    monkeypatch.setattr(control_clients, "MAX_CLIENTS", 1)
    monkeypatch.setattr(daemon_link, "RETRY_S", 0.05)

    async def run() -> None:
        async with question_daemon(tmp_path / "s") as daemon:
            other = await PromptClient.connect(tmp_path / "s")
            async with Listener(tmp_path / "s") as listener:
                await until(lambda: listener.told)
                lost = ConnectionLost("1 clients are connected already (close one of them)", is_gone=False)
                assert listener.told[0] == lost
                await other.close()
                await until(daemon.attached.is_set)

    asyncio.run(run())


def test_an_answer_is_given_or_refused(tmp_path: Path) -> None:
    async def run() -> None:
        async with question_daemon(tmp_path / "s") as daemon, Listener(tmp_path / "s") as listener:
            await until(daemon.attached.is_set)
            daemon.open(prompt_of(1))
            await until(lambda: QuestionOpened in listener.kinds())
            daemon.refusal = "too late"
            await listener.link.answer(ANSWER)
            daemon.refusal = ""
            await listener.link.answer(ANSWER)
            assert AnswerRefused(1, "too late") in listener.told
            assert NoticeGiven(f"answered: {RULE}") in listener.told
            assert await daemon.answers.get() == (1, DENY)

    asyncio.run(run())


def test_of_answers_that_were_refused_it_is_not_said_that_they_were_taken(tmp_path: Path) -> None:
    async def run() -> None:
        async with question_daemon(tmp_path / "s") as daemon, Listener(tmp_path / "s") as listener:
            await until(daemon.attached.is_set)
            for prompt_id in (1, 2):
                daemon.open(prompt_of(prompt_id))
            daemon.refusal = "not yours"
            await listener.link.answer(BOTH)
            told = [event for event in listener.told if isinstance(event, AnswerRefused | NoticeGiven)]
            assert told == [AnswerRefused(1, "not yours"), AnswerRefused(2, "not yours")]
        listener.told.clear()
        await listener.link.answer(BOTH)  # their questions are gone: nothing to tell
        assert listener.told == []

    asyncio.run(run())


def test_that_a_rule_is_not_saved_is_the_last_word(tmp_path: Path) -> None:
    async def run() -> None:
        async with question_daemon(tmp_path / "s") as daemon, Listener(tmp_path / "s") as listener:
            await until(daemon.attached.is_set)
            daemon.unsaved = "no room"
            notice = NoticeGiven("the rule holds but could not be saved: no room")
            for given in (ANSWER, Answers((Answer(2, DENY), Answer(3, DENY)))):
                for prompt_id in (1, 2, 3):
                    daemon.open(prompt_of(prompt_id))
                await listener.link.answer(given)
                assert listener.told[-1] == notice
            assert {event for event in listener.told if isinstance(event, NoticeGiven)} == {notice}
            daemon.unsaved = ""
            daemon.open(prompt_of(2))
            await listener.link.answer(Answers((Answer(2, DENY),)))
            assert listener.told[-1] == NoticeGiven(f"answered: {RULE}")

    asyncio.run(run())


def test_a_line_that_the_daemon_would_not_take_is_refused_and_the_connection_goes_on(tmp_path: Path) -> None:
    """As long as the editor lets it be: each of its letters takes 6 bytes."""

    async def run() -> list[Event]:
        async with question_daemon(tmp_path / "s") as daemon, Listener(tmp_path / "s") as listener:
            await until(daemon.attached.is_set)
            daemon.open(prompt_of(1))
            await until(lambda: QuestionOpened in listener.kinds())
            await listener.link.answer(Answers((Answer(1, None, f"deny - - - {'é' * MAX_LENGTH}"),)))
            await listener.link.answer(ANSWER)
            return listener.told[2:]

    refused, *others = asyncio.run(run())
    assert isinstance(refused, AnswerRefused)
    assert refused.reason.startswith("the request is too long: ")
    assert {type(event) for event in others} == {QuestionClosed, NoticeGiven}


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
            await listener.link.answer(ANSWER)  # its question is gone: nothing to tell

    asyncio.run(run())
