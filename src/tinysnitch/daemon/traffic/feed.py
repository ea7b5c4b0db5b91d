"""Hands batches of rows to all who listen, each second while somebody looks, else as late as may be.

The kernel's side sums up by itself. It tells when there is a first row, a minute after which all are taken, and so each
minute as long as there are any; and when there are so many that it may run short of room. A second after a decision of
user space all rows are taken; without BPF such decisions are all there is. Nothing ticks while nothing is decided and
nobody looks.
"""

import asyncio
import math
from collections.abc import Callable, Sequence

from tinysnitch.core.engine.records import ConnectionDecided
from tinysnitch.core.traffic.row import TrafficRow, row_of
from tinysnitch.core.traffic.sums import Sums
from tinysnitch.daemon.scheduling.failures import Failures
from tinysnitch.daemon.scheduling.timers import SingleTimer
from tinysnitch.daemon.traffic.kernel_rows import KernelRows

Listener = Callable[[Sequence[TrafficRow]], object]  # each batch; it holds a row at least

BATCH_AFTER_S = 1.0  # how long a decision waits for its batch; also how often those who look get one
KERNEL_AFTER_S = 60.0  # how long the rows of the kernel's side wait while nobody looks


class TrafficFeed:
    def __init__(self, failures: Failures, kernel: KernelRows | None = None) -> None:
        """`kernel`: None without BPF."""
        self._failures = failures
        self._kernel = kernel
        self._sums = Sums()
        self._listeners: list[Listener] = []
        self._lookers: list[Listener] = []
        self._due_s = math.inf  # on the loop's clock: when the timer rings
        self._timer = SingleTimer(self._ring)
        self._is_late = False  # it rings a minute after a first row, and not since somebody looks or decided
        self._is_started = False

    @property
    def lost(self) -> int:
        """Connections that are in no row here. The kernel's side counts those that it has none for."""
        return self._sums.lost

    def start(self) -> None:
        """Take the rows of the kernel's side from now on, first those that an earlier daemon left."""
        if self._kernel and self._failures.attempt(self._kernel.begin):
            asyncio.get_running_loop().add_reader(self._kernel.fileno(), self._told)
            self._is_started = True
            self._wait(BATCH_AFTER_S)

    def note(self, record: ConnectionDecided) -> None:
        """A connection that user space decided. The kernel's side counts it when its packet goes on; its row is taken
        soon, while we are awake anyway and know the program."""
        if self._kernel:
            self._kernel.note(record)
        else:
            self._sums.add([row_of(record)])
        self._wait(BATCH_AFTER_S)

    def listen(self, listener: Listener) -> None:
        """Call it with every batch from now on. It must not wait."""
        self._listeners.append(listener)

    def look(self, listener: Listener) -> Callable[[], None]:
        """As `listen`, but each second, until the function is called that this returns."""
        self._lookers.append(listener)
        self._wait(BATCH_AFTER_S)
        return lambda: self._lookers.remove(listener)

    def hand_over(self) -> bool:
        """Hand what was counted to all who listen, now. False: there was nothing."""
        if self._kernel:
            self._failures.attempt(self._take, self._kernel)
        rows = self._sums.take()
        for listener in (*self._listeners, *self._lookers) if rows else ():
            self._failures.attempt(listener, rows)
        return bool(rows)

    def stop(self) -> None:
        """At the end: hand the last rows over."""
        self._timer.cancel()
        if self._kernel and self._is_started:
            asyncio.get_running_loop().remove_reader(self._kernel.fileno())
            self._is_started = False
        self.hand_over()

    def _take(self, kernel: KernelRows) -> None:
        self._sums.add(kernel.take())

    def _told(self) -> None:
        if self._kernel:
            self._failures.attempt(self._kernel.read_told)
            self._wait(BATCH_AFTER_S if self._kernel.is_full else KERNEL_AFTER_S)

    def _wait(self, delay_s: float) -> None:
        """Have the timer ring then, if it does not ring before."""
        due_s = asyncio.get_running_loop().time() + delay_s
        if due_s < self._due_s:
            self._timer.cancel()
            self._timer.start(delay_s)
            self._due_s = due_s
            self._is_late = delay_s >= KERNEL_AFTER_S

    def _ring(self) -> None:
        self._due_s = math.inf
        has_rows = self.hand_over()
        if self._lookers:
            self._wait(BATCH_AFTER_S)
        elif self._kernel and ((has_rows and self._is_late) or not self._kernel.rest()):
            self._wait(KERNEL_AFTER_S)
