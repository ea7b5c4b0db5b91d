"""Gives all clients together TURN_S of each turn of the loop, so that packets are judged in between.

A client with more work than fits waits behind all others that wait; and those go before new requests.
"""

import asyncio
import time
from collections.abc import Callable

TURN_S = 0.005


class Turns:
    def __init__(self) -> None:
        self._waiting: dict[Callable[[], None], None] = {}  # a dict for its order
        self._ends_s: float | None = None  # monotonic seconds: when this turn has no time left

    def has_time(self) -> bool:
        """Whether a piece of work may be begun in this turn of the loop."""
        now_s = time.monotonic()
        if self._ends_s is None:
            self._ends_s = now_s + TURN_S
            asyncio.get_running_loop().call_soon(self._begin)
        return now_s < self._ends_s

    def wait(self, work: Callable[[], None]) -> None:
        """Call this in a later turn, once there is time."""
        self._waiting[work] = None

    def _begin(self) -> None:
        self._ends_s = None
        while self._waiting and self.has_time():
            work = next(iter(self._waiting))
            del self._waiting[work]
            work()
