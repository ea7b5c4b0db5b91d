"""Turns: all clients share a little time of each turn of the loop, so that packets come between, however many ask.

Whoever has more to do than fits goes behind all others that wait; those that wait come before those that ask anew.
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
        """For whoever has no time: the work goes on in a turn to come."""
        self._waiting[work] = None

    def _begin(self) -> None:
        self._ends_s = None
        while self._waiting and self.has_time():
            work = next(iter(self._waiting))
            del self._waiting[work]
            work()
