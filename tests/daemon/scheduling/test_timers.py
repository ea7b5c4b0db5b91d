import asyncio

from tests.daemon.loop.driver_place import until
from tinysnitch.daemon.scheduling.timers import SingleTimer


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
