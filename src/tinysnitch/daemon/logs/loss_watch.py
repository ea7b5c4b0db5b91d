"""Tells people when a counter of losses rises, so that no loss goes unnoticed."""

import math
from collections.abc import Callable, Iterator

from tinysnitch.core.engine.events import DataLost

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 64.0


class LossWatch:
    """Turns counters that rose into events.

    If a counter goes on rising it is told at longer and longer intervals, with the sum since the last time: a remote
    can make some counters rise all day, and must not fill the log and the history.
    """

    def __init__(self, read_losses: Callable[[], dict[str, int]]) -> None:
        self._read = read_losses
        self._known = read_losses()
        self._told: dict[str, tuple[float, float]] = {}  # when it was told last, and for how long then not

    def new_losses(self, now_s: float) -> Iterator[DataLost]:
        """The losses to tell at `now_s` (boot-time seconds)."""
        for what, count in self._read().items():
            lost = count - self._known.get(what, 0)
            if lost > 0 and not self._is_due(what, now_s):
                continue
            self._known[what] = count
            if lost > 0:
                yield DataLost(what, lost)

    def rest(self) -> Iterator[DataLost]:
        """At the end: all losses that were not told yet."""
        return self.new_losses(math.inf)

    def _is_due(self, what: str, now_s: float) -> bool:
        told_s, pause_s = self._told.get(what, (-math.inf, 0.0))
        if now_s < told_s + pause_s:
            return False
        goes_on = now_s < told_s + 2 * LONGEST_PAUSE_S
        self._told[what] = now_s, min(2 * pause_s, LONGEST_PAUSE_S) if goes_on else FIRST_PAUSE_S
        return True
