"""Hands batches of rows to all who listen: a second after the first decision, and each second while somebody looks.

Nothing ticks while nothing is decided and nobody looks.
"""

from collections.abc import Callable, Sequence

from tinysnitch.core.engine.records import ConnectionDecided
from tinysnitch.core.traffic.row import TrafficRow, row_of
from tinysnitch.core.traffic.sums import Sums
from tinysnitch.daemon.scheduling.failures import Failures
from tinysnitch.daemon.scheduling.timers import SingleTimer

Listener = Callable[[Sequence[TrafficRow]], object]  # each batch; it holds a row at least

BATCH_AFTER_S = 1.0  # how long a decision waits for its batch; also how often those who look get one


class TrafficFeed:
    def __init__(self, failures: Failures) -> None:
        self._failures = failures
        self._sums = Sums()
        self._listeners: list[Listener] = []
        self._lookers: list[Listener] = []
        self._timer = SingleTimer(self._ring)

    @property
    def lost(self) -> int:
        """Connections that are in no row."""
        return self._sums.lost

    def note(self, record: ConnectionDecided) -> None:
        """Count a connection that user space decided."""
        self._sums.add([row_of(record)])
        self._timer.start(BATCH_AFTER_S)

    def listen(self, listener: Listener) -> None:
        """Call it with every batch from now on. It must not wait."""
        self._listeners.append(listener)

    def look(self, listener: Listener) -> Callable[[], None]:
        """As `listen`, but each second, until the function is called that this returns."""
        self._lookers.append(listener)
        self._timer.start(BATCH_AFTER_S)
        return lambda: self._lookers.remove(listener)

    def hand_over(self) -> None:
        """Hand what was counted to all who listen, now."""
        rows = self._sums.take()
        for listener in (*self._listeners, *self._lookers) if rows else ():
            self._failures.attempt(listener, rows)

    def stop(self) -> None:
        """At the end: hand the last rows over."""
        self._timer.cancel()
        self.hand_over()

    def _ring(self) -> None:
        self.hand_over()
        if self._lookers:
            self._timer.start(BATCH_AFTER_S)
