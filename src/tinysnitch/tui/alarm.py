"""A call that is made after a delay; setting the alarm again cancels the call that was due."""

import asyncio
from collections.abc import Callable


class Alarm:
    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act
        self._handle: asyncio.TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        return self._handle is not None

    def set(self, delay_s: float | None) -> None:
        """Call after `delay_s` from now; None: do not call."""
        if self._handle:
            self._handle.cancel()
        self._handle = None if delay_s is None else asyncio.get_running_loop().call_later(delay_s, self._ring)

    def _ring(self) -> None:
        self._handle = None
        self._act()
