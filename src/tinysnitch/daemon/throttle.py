"""Something that is wanted any number of times, and done so often at most: what comes too soon is done together.

It may be done `burst` times at once, and once more each `each_s` seconds. Nothing that is wanted is left undone.
"""

import asyncio
from collections.abc import Callable

from tinysnitch.daemon.single_timer import SingleTimer


class Throttle:
    """Of the running loop."""

    def __init__(self, work: Callable[[], object], *, burst: int, each_s: float) -> None:
        self._work = work
        self._ahead_s = (burst - 1) * each_s  # how much may be done before its time
        self._each_s = each_s
        self._due_s = 0.0  # when all that was done would have been, one by one, by the loop's clock
        self._timer = SingleTimer(self._do)

    def want(self) -> None:
        wait_s = max(self._due_s - asyncio.get_running_loop().time(), 0.0) - self._ahead_s
        if wait_s > 0:
            self._timer.start(wait_s)
        else:
            self._do()

    def cancel(self) -> None:
        """Nothing is wanted any more."""
        self._timer.cancel()

    def _do(self) -> None:
        self._due_s = max(self._due_s, asyncio.get_running_loop().time()) + self._each_s
        self._work()
