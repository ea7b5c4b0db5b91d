import asyncio

import pytest

from tinysnitch.daemon.scheduling.offload import do_beside


def test_the_result_is_told_in_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> list[int | None]:
        told: asyncio.Queue[int | None] = asyncio.Queue()
        do_beside(lambda: 7, told.put_nowait)
        first = await told.get()
        do_beside(lambda: 1 // 0, told.put_nowait)
        return [first, await told.get()]

    assert asyncio.run(run()) == [7, None]
    assert "ZeroDivisionError" in caplog.text
