"""Something that is wanted any number of times, and done at a pace: what comes too soon is done together.

Nothing that is wanted is left undone.
"""

import asyncio
from collections.abc import Callable

from tinysnitch.daemon.pace import Pace
from tinysnitch.daemon.single_timer import SingleTimer


class Throttle:
    """Of the running loop."""

    def __init__(self, work: Callable[[], object], *, burst: int, each_s: float) -> None:
        self._work = work
        self._pace = Pace(burst=burst, each_s=each_s)
        self._timer = SingleTimer(self._do)

    def want(self) -> None:
        wait_s = self._pace.wait_s(asyncio.get_running_loop().time())
        if wait_s > 0:
            self._timer.start(wait_s)
        else:
            self._do()

    def cancel(self) -> None:
        """Nothing is wanted any more."""
        self._timer.cancel()

    def _do(self) -> None:
        self._pace.note(asyncio.get_running_loop().time())
        self._work()
