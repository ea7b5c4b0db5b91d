import asyncio

from tinysnitch.daemon.single_timer import SingleTimer


def test_it_rings_once_however_often_it_is_started_and_again_when_it_is_started_then() -> None:
    async def run() -> int:
        rung: list[int] = []
        timer = SingleTimer(lambda: rung.append(1))
        for rings in (1, 2):
            for delay_s in (0.0, 0.0, 60.0):
                timer.start(delay_s)
            await asyncio.sleep(0.01)
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
        await asyncio.sleep(0.01)
        assert rung == []
        timer.start(0.0)
        await asyncio.sleep(0.01)
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
        await asyncio.sleep(0.02)
        return len(rung)

    assert asyncio.run(run()) == 3
