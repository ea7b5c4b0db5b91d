"""Timers ring once, and limits hold whatever is wanted."""

import asyncio

from tests.daemon.loop.driver_place import until
from tinysnitch.daemon.scheduling.timers import Pace, SingleTimer, Throttle


async def pass_turns() -> None:
    """Let the loop turn until all work that is due has been done."""
    later = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.001, later.set_result, None)
    await later


def test_it_rings_once_however_often_it_is_started_and_again_when_it_is_started_then() -> None:
    async def run() -> int:
        rung: list[int] = []
        timer = SingleTimer(lambda: rung.append(1))
        for rings in (1, 2):
            for delay_s in (0.0, 0.0, 60.0):
                timer.start(delay_s)
            await pass_turns()
            assert len(rung) == rings
        return len(rung)

    assert asyncio.run(run()) == 2


def test_what_is_cancelled_is_not_done_and_may_be_started_anew() -> None:
    async def run() -> list[int]:
        rung: list[int] = []
        timer = SingleTimer(lambda: rung.append(1))
        timer.cancel()
        timer.start(0.0)
        timer.cancel()
        await pass_turns()
        assert rung == []
        timer.start(0.0)
        await pass_turns()
        return rung

    assert asyncio.run(run()) == [1]


def test_it_may_be_started_from_its_own_work() -> None:
    async def run() -> int:
        rung: list[int] = []

        def work() -> None:
            rung.append(1)
            if len(rung) < 3:
                timer.start(0.0)

        timer = SingleTimer(work)
        timer.start(0.0)
        await until(lambda: len(rung) == 3)
        await pass_turns()
        return len(rung)

    assert asyncio.run(run()) == 3


def count_at(pace: Pace, now_s: float) -> int:
    """How often it may be done at this time."""
    return next(count for count in range(100) if not pace.may_go(now_s))


def test_so_many_times_at_once_and_then_one_each_while() -> None:
    pace = Pace(burst=3, each_s=10.0)
    assert [count_at(pace, now_s) for now_s in (50.0, 59.0, 60.0, 85.0)] == [3, 0, 1, 2]


def test_what_was_not_used_is_not_saved_up() -> None:
    pace = Pace(burst=3, each_s=10.0)
    assert [count_at(pace, now_s) for now_s in (0.0, 1e6)] == [3, 3]


def test_how_long_to_wait() -> None:
    pace = Pace(burst=2, each_s=10.0)
    waits = []
    for _ in range(4):
        waits.append(pace.wait_s(50.0))
        pace.note(50.0)
    assert waits == [0.0, 0.0, 10.0, 20.0]
    assert pace.wait_s(65.0) == 15.0
    assert pace.wait_s(1e6) == 0.0


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
