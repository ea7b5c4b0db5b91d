"""Something to be done whenever there is news: at once, but together where the news do not end."""

import asyncio
from collections.abc import Callable

from tinysnitch.daemon.single_timer import SingleTimer


class PacedWork:
    """Of the running loop. Nothing ticks while there is no news."""

    def __init__(self, work: Callable[[], object], burst: int, each_s: float) -> None:
        """So many times in a row, and once more each so many seconds."""
        self._work = work
        self._each_s = each_s
        self._free_s = (burst - 1) * each_s
        self._paid_s = 0.0  # when all that was done is paid, by the loop's clock
        self._timer = SingleTimer(self._do)

    def take_news(self) -> None:
        wait_s = self._paid_s - asyncio.get_running_loop().time() - self._free_s
        if wait_s > 0:
            self._timer.start(wait_s)
        else:
            self._do()

    def cancel(self) -> None:
        self._timer.cancel()

    def _do(self) -> None:
        self._paid_s = max(self._paid_s, asyncio.get_running_loop().time()) + self._each_s
        self._work()
