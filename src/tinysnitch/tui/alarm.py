"""A call that is due at some later moment: setting it anew takes back what was set before."""

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
        """None: it is not due at all."""
        if self._handle:
            self._handle.cancel()
        self._handle = None if delay_s is None else asyncio.get_running_loop().call_later(delay_s, self._ring)

    def _ring(self) -> None:
        self._handle = None
        self._act()
