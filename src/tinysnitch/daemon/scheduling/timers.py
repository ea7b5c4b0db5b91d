"""A timer that does some work once, however often it is started before it rings."""

import asyncio
from collections.abc import Callable


class SingleTimer:
    """Uses the running loop. Nothing ticks while it isn't started."""

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
