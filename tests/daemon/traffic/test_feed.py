"""Every batch goes to all who listen, and nothing ticks while nobody looks."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import closing

import pytest

from tests.core.engine.transcript import CURL, flow_of
from tests.daemon.loop.driver_place import until
from tinysnitch.core.engine.records import ConnectionDecided
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.traffic.row import TrafficRow, row_of
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


class Kernel:
    """Stands for KernelRows: the kernel's side tells through a pipe."""

    is_full = False

    def __init__(self, *batches: list[TrafficRow]) -> None:
        self.batches, self.noted, self.rests = list(batches), 0, 0
        self._reader, self._writer = os.pipe()

    def begin(self) -> None:
        pass

    def fileno(self) -> int:
        return self._reader

    def tell(self) -> None:
        os.write(self._writer, b"x")

    def read_told(self) -> None:
        os.read(self._reader, 1)

    def note(self, _record: ConnectionDecided) -> None:
        self.noted += 1

    def take(self) -> list[TrafficRow]:
        return self.batches.pop(0) if self.batches else []

    def rest(self) -> bool:
        self.rests += 1
        return True

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)


def test_what_the_kernel_sums_up_is_taken_as_long_as_there_is_any_and_then_when_it_tells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feed_module, "KERNEL_AFTER_S", 0.001)

    async def run() -> None:
        kernel, got = Kernel([row_of(DECIDED)], [row_of(DECIDED)]), list[TrafficRow]()
        with closing(kernel):
            feed = TrafficFeed(Failures(), kernel)  # type: ignore[arg-type]
            feed.listen(got.extend)
            feed.start()
            feed.note(DECIDED)
            await until(lambda: kernel.rests)
            assert (len(got), kernel.noted) == (2, 1)
            kernel.batches.append([row_of(DECIDED)])
            kernel.tell()
            await until(lambda: len(got) == 3)
            kernel.batches.append([row_of(DECIDED)])
            feed.stop()
            assert len(got) == 4

    asyncio.run(run())
