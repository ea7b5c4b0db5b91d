"""Does some work at a limited pace, however often it is wanted: wishes that come too soon are done by one call later.

After each wish the work is done at least once.
"""

import asyncio
from collections.abc import Callable

from tinysnitch.daemon.scheduling.pace import Pace
from tinysnitch.daemon.scheduling.timers import SingleTimer


class Throttle:
    """Uses the running loop. `burst` and `each_s` are those of Pace."""

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
        """Forget what is wanted and not done yet."""
        self._timer.cancel()

    def _do(self) -> None:
        self._pace.note(asyncio.get_running_loop().time())
        self._work()
