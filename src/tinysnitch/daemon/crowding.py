"""Whether more is held than we keep up with, and what each may have held then (bpf/crowd.bpf.c).

The queue has one length for all, and a flood of a remote's, or of a program's, comes faster than anything is judged.
Who merely has many connections at once is not limited: they find their place in the queue.
"""

import time
from collections.abc import Callable

from tinysnitch.kernel.bpf_structs import CROWD_MOMENT_NS

MANY = 2048  # packets that wait to be looked at: a quarter of the queue, some 0.1 s
PATIENCE_NS = 50_000_000  # how long there is more all the time before it is counted how many: that takes 40 us
CALM_NS = 1_000_000_000  # how long nothing was too much before all may come again
USERS_SHARE = 4  # any one user may have a quarter of what we can judge


class Crowding:
    def __init__(
        self,
        count_waiting: Callable[[], int],
        limit: Callable[[int], object],
        read_moment: Callable[[], int],
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`count_waiting`: packets that nobody has looked at. `read_moment`: in which one was too many last."""
        self._count_waiting = count_waiting
        self._limit = limit
        self._read_moment = read_moment
        self._clock = clock
        self._since_ns: int | None = None  # there is always more since then
        self._judged = 0  # packets, since then
        self._is_limited = False
        self._limited_ns = 0

    def note_batch(self, size: int, room: int) -> None:
        """`size` packets were judged, with `room` for so many: if it was full, there may have been more."""
        if self._is_limited:
            self._lift()
        elif size < room:
            self._since_ns = None
        elif self._since_ns is None:
            self._since_ns, self._judged = self._clock(), 0
        else:
            self._judged += size
            self._look(self._since_ns)

    def _look(self, since_ns: int) -> None:
        took_ns = self._clock() - since_ns
        if took_ns < PATIENCE_NS:
            return
        judged, self._since_ns = self._judged, None  # counted anew, so that it is not looked at with each batch
        if self._count_waiting() >= MANY:
            self._limit(max(USERS_SHARE, judged * CROWD_MOMENT_NS // took_ns // USERS_SHARE))
            self._limited_ns, self._is_limited = self._clock(), True

    def _lift(self) -> None:
        now_ns = self._clock()
        if now_ns - self._limited_ns < CALM_NS:
            return
        passed = (now_ns // CROWD_MOMENT_NS - self._read_moment()) & 0xFFFFFFFF
        if passed * CROWD_MOMENT_NS >= CALM_NS:
            self._limit(0)
            self._is_limited = False
            self._since_ns = None
