"""News one after the other, in a loop."""

import asyncio

from tests.daemon.driver_place import until
from tinysnitch.daemon.paced_work import PacedWork


def test_what_does_not_end_is_done_together() -> None:
    done: list[None] = []

    async def run() -> None:
        work = PacedWork(lambda: done.append(None), 3, 1000.0)
        for _ in range(9):
            work.take_news()
        assert len(done) == 3
        work.cancel()

    asyncio.run(run())


def test_what_came_meanwhile_is_done_once_its_time_has_come() -> None:
    done: list[None] = []

    async def run() -> None:
        work = PacedWork(lambda: done.append(None), 1, 1.0)
        for _ in range(9):
            work.take_news()
        assert len(done) == 1
        await until(lambda: len(done) == 2)
        assert work._timer._handle is None  # that was for all of them

    asyncio.run(run())


def test_what_is_cancelled_is_not_done() -> None:
    async def run() -> None:
        work = PacedWork(lambda: None, 1, 1000.0)
        work.take_news()
        work.take_news()
        assert work._timer._handle is not None
        work.cancel()
        assert work._timer._handle is None

    asyncio.run(run())
