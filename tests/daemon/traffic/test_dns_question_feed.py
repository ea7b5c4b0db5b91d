"""Names that programs asked for come to who listens, each with its program."""

import asyncio
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from tests.core.engine.transcript import CURL, flow_of
from tinysnitch.core.engine.records import ConnectionDecided
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.process import KERNEL_EXEC_ID, Asker, exec_id_of
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.traffic.asked_names import NameAsked
from tinysnitch.daemon.traffic import dns_question_feed
from tinysnitch.daemon.traffic.dns_question_feed import QuestionFeed

RESOLVER = Connection(flow=flow_of(port=53, protocol=17), attribution=CURL, asked_name="shop.test")


def with_feed(use: Callable[[QuestionFeed, list[NameAsked]], None]) -> None:
    async def run() -> None:
        told: list[NameAsked] = []
        feed = QuestionFeed({8: "/bin/image"}.get)
        feed.listener = told.extend
        use(feed, told)
        feed.stop()

    asyncio.run(run())


def decide(verdict: Verdict) -> ConnectionDecided:
    return ConnectionDecided(RESOLVER, Decision(verdict=verdict, reason=""), False, 9.0)


def test_a_question_has_the_program_of_its_connections_or_of_its_image() -> None:
    def use(feed: QuestionFeed, told: list[NameAsked]) -> None:
        feed.note_decision(decide(Verdict.ALLOW))
        for exec_id in (exec_id_of(CURL), 8, KERNEL_EXEC_ID, 99):
            feed.note(Asker(exec_id, 1000), ("a.test",), 5.0)
        assert told == []
        feed.hand_over()
        expected = NameAsked("/usr/bin/curl", 1000, "a.test", 5.0)
        programs = (expected.program, "/bin/image", "kernel", "unknown")
        assert told == [replace(expected, program=program) for program in programs]

    with_feed(use)


def test_a_question_that_is_denied_is_told_too() -> None:
    def use(feed: QuestionFeed, told: list[NameAsked]) -> None:
        feed.note_decision(decide(Verdict.DENY))
        feed.stop()
        assert told == [NameAsked("/usr/bin/curl", 1000, "shop.test", 9.0, is_denied=True)]

    with_feed(use)


def test_what_finds_no_room_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_question_feed, "MAX_WAITING", 1)

    def use(feed: QuestionFeed, told: list[NameAsked]) -> None:
        feed.note(Asker(8, 0), ("a", "b", "c"), 1.0)
        feed.hand_over()
        assert (len(told), feed.lost) == (1, 2)

    with_feed(use)
