import asyncio

from tests.daemon.loop.driver_place import until
from tinysnitch.daemon.scheduling.throttle import Throttle


def count_done(wanted: int, *, burst: int, each_s: float, expected: int) -> int:
    """How often it is done at once; then wait until it was done as often as expected."""

    async def run() -> int:
        done: list[None] = []
        throttle = Throttle(lambda: done.append(None), burst=burst, each_s=each_s)
        for _ in range(wanted):
            throttle.want()
        at_once = len(done)
        await until(lambda: len(done) >= expected)
        throttle.cancel()
        return at_once

    return asyncio.run(run())


def test_so_many_times_at_once_and_no_more() -> None:
    assert count_done(9, burst=3, each_s=1000.0, expected=3) == 3


def test_what_was_wanted_too_soon_is_done_once_it_may() -> None:
    assert count_done(9, burst=1, each_s=0.02, expected=2) == 1


def test_what_is_cancelled_is_not_done() -> None:
    async def run() -> list[None]:
        done: list[None] = []
        throttle = Throttle(lambda: done.append(None), burst=1, each_s=0.001)
        throttle.want()
        throttle.want()
        throttle.cancel()
        await asyncio.sleep(0.01)
        return done

    assert len(asyncio.run(run())) == 1
