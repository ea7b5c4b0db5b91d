"""Waits for something that another task does."""

import asyncio
from collections.abc import Callable

SCRIPT_S = 150.0  # a test's whole script: what it waits for without a limit of its own is shown then


async def until(condition: Callable[[], object], timeout_s: float = 60.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - the conditions are other tasks' plain values
            await asyncio.sleep(0.005)
