import asyncio

from tests.tui.waiting import until
from tinysnitch.tui.alarm import Alarm


def test_it_rings_once_at_the_moment_that_was_set_last() -> None:
    async def run() -> None:
        rung: list[bool] = []
        alarm = Alarm(lambda: rung.append(alarm.is_set))
        alarm.set(0.0)
        alarm.set(None)
        assert not alarm.is_set
        alarm.set(60.0)
        alarm.set(0.0)
        assert alarm.is_set
        await until(lambda: rung != [])
        await asyncio.sleep(0.01)
        assert rung == [False]

    asyncio.run(run())
