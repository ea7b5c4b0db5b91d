"""Timers of the running loop, and limits on how often something is done. Nothing ticks while none is started."""

import asyncio
from collections.abc import Callable


class SingleTimer:
    """Does some work once, however often it is started before it rings."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._handle: asyncio.TimerHandle | None = None

    def start(self, delay_s: float) -> None:
        """Start the timer. One that runs already keeps its time."""
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_later(delay_s, self._ring)

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _ring(self) -> None:
        self._handle = None
        self._work()


class Pace:
    """`burst` times at once, and once more each `each_s` seconds. Time is an argument: seconds of one clock."""

    def __init__(self, *, burst: int, each_s: float) -> None:
        self._ahead_s = (burst - 1) * each_s  # how far ahead of its time something may be done
        self._each_s = each_s
        self._due_s = 0.0  # when the next one would be due if they were done one each `each_s`

    def wait_s(self, now_s: float) -> float:
        """Seconds until it may be done once more; 0: now."""
        return max(self._due_s - now_s - self._ahead_s, 0.0)

    def note(self, now_s: float) -> None:
        """Note that it is done now, even if that is too early."""
        self._due_s = max(self._due_s, now_s) + self._each_s

    def may_go(self, now_s: float) -> bool:
        """Whether it may be done now; if so, note that it is."""
        if self._due_s - now_s > self._ahead_s:
            return False
        self._due_s = max(self._due_s, now_s) + self._each_s
        return True


class Throttle:
    """Does some work at a limited pace (Pace), and at least once after each `want`: what comes too soon is done by one
    call later."""

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
