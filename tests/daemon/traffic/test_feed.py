"""Every batch goes to all who listen, and nothing ticks while nobody looks."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.core.engine.transcript import CURL, flow_of
from tests.daemon.loop.driver_place import until
from tinysnitch.core.engine.records import ConnectionDecided
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.traffic.row import TrafficRow
from tinysnitch.daemon.scheduling.failures import Failures
from tinysnitch.daemon.traffic import feed as feed_module
from tinysnitch.daemon.traffic.feed import TrafficFeed

DECIDED = ConnectionDecided(
    Connection(flow=flow_of(), attribution=CURL), Decision(verdict=Verdict.ALLOW, reason=""), False, 1.0
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "BATCH_AFTER_S", 0.001)


def test_a_batch_goes_to_all_also_if_one_fails() -> None:
    got: list[int] = []

    def fail(_rows: Sequence[TrafficRow]) -> None:
        raise OSError(28, "disk full")

    async def run() -> int:
        failures = Failures()
        feed = TrafficFeed(failures)
        feed.listen(fail)
        feed.listen(lambda rows: got.append(rows[0].connections))
        for _ in range(3):
            feed.note(DECIDED)
        await until(lambda: got)
        return failures.count

    assert asyncio.run(run()) == 1
    assert got == [3]


def test_who_looks_gets_batches_until_the_end_of_it() -> None:
    async def run() -> None:
        got: list[TrafficRow] = []
        feed = TrafficFeed(Failures())
        end = feed.look(got.extend)
        for count in (1, 2):
            feed.note(DECIDED)
            await until(lambda count=count: len(got) == count)
        end()
        feed.note(DECIDED)
        feed.stop()
        assert len(got) == 2

    asyncio.run(run())


def test_the_end_hands_over_what_waits() -> None:
    async def run() -> list[TrafficRow]:
        got: list[TrafficRow] = []
        feed = TrafficFeed(Failures())
        feed.listen(got.extend)
        feed.note(DECIDED)
        feed.stop()
        feed.stop()
        return got

    assert [row.connections for row in asyncio.run(run())] == [1]
