"""The signals that end the daemon. tests/lab/test_stop.py tests what is left then."""

import asyncio
import os
import signal

import pytest

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.daemon.startup.stop_signals import HAND_OVER, Stop


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, HAND_OVER])
def test_a_start_ends_with_the_stop(number: signal.Signals) -> None:
    async def run() -> bool:
        stop = Stop()
        stop.listen()
        asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), number)
        was_done = await stop.is_later_than(asyncio.sleep(3600))
        assert stop.is_hand_over == (number is HAND_OVER)
        return was_done

    assert not asyncio.run(run())


def test_a_start_that_keeps_the_loop_waiting_hears_of_it_where_it_asks() -> None:
    async def run() -> bool:
        stop = Stop()
        stop.listen()

        async def start() -> None:
            stop.end_start()
            os.kill(os.getpid(), signal.SIGTERM)
            stop.end_start()
            raise AssertionError("it goes on")

        return await stop.is_later_than(start())

    assert not asyncio.run(run())


def test_a_start_that_comes_to_its_end() -> None:
    async def run() -> bool:
        return await Stop().is_later_than(asyncio.sleep(0))

    assert asyncio.run(run())


def test_a_start_that_fails_says_so() -> None:
    async def fail() -> None:
        raise SnitchError("not today")

    async def run() -> None:
        await Stop().is_later_than(fail())

    with pytest.raises(SnitchError, match="not today"):
        asyncio.run(run())


def test_who_takes_over_and_is_stopped_then_leaves_nothing() -> None:
    async def run() -> None:
        stop = Stop()
        stop.listen()
        for number in (HAND_OVER, signal.SIGTERM):
            os.kill(os.getpid(), number)
        await stop.wait()
        assert not stop.is_hand_over

    asyncio.run(run())
