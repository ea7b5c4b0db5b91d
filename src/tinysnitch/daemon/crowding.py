"""Whether more is held than we keep up with, and what each may have held then (bpf/crowd.bpf.c).

Each queue has one length for all, and a flood of a remote's, or of a program's, comes faster than anything is judged,
or read. Who merely has many connections at once is not limited: they find their place in the queue.
"""

import time
from collections.abc import Callable

from tinysnitch.daemon.single_timer import SingleTimer
from tinysnitch.kernel.bpf_structs import CROWD_MOMENT_NS

MANY = 2048  # packets that wait to be looked at: a quarter of the queue, some 0.1 s
MANY_MESSAGES = 512  # one may take longer: 4 ms, with as many addresses as it can hold
PATIENCE_NS = 50_000_000  # how long there is more all the time before it is counted how many: that takes 40 us
LOOK_S = 0.25  # how often it is looked at whether all may come again
USERS_SHARE = 4  # any one user may have a quarter of what we can judge
PROGRAMS_SHARE = 4  # any one program of theirs a quarter of that (bpf/crowd.bpf.c)
ENOUGH = 0.75  # of what we can judge: no flood comes so slowly, and shares take no more of the time


class Crowding:
    def __init__(
        self,
        count_waiting: Callable[[], int],
        limit: Callable[[int], object],
        count_dropped: Callable[[], int],
        clock: Callable[[], int] = time.monotonic_ns,
        *,
        many: int = MANY,
    ) -> None:
        """`count_waiting`: packets that nobody has looked at. `count_dropped`: those that were too many, ever. `many`:
        as soon as so many wait."""
        self.is_limited = False
        self._count_waiting = count_waiting
        self._limit = limit
        self._count_dropped = count_dropped
        self._clock = clock
        self._many = many
        self._since_ns: int | None = None  # there is always more since then; or when it was looked at last
        self._judged = self._busy_ns = 0  # packets, and how long that took, since then
        self._dropped = 0  # until then
        self._speed = 0.0  # packets that we can judge in a nanosecond
        self._share = 0.0  # packets of a user in a moment

    @property
    def is_watching(self) -> bool:
        """Whether each batch is to be noted; else one that was full alone."""
        return self._since_ns is not None

    def note_batch(self, size: int, room: int, took_ns: int) -> None:
        """`size` packets were judged, with `room` for so many: if it was full, there may have been more."""
        self._judged += size
        self._busy_ns += took_ns
        if self.is_limited:
            return
        if size < room:
            self._since_ns = None
        elif self._since_ns is None:
            self._begin(self._clock())
        else:
            self._look(self._since_ns)

    def look_again(self) -> None:
        """Each LOOK_S while it is limited: whether all that comes could be judged by now, with what is dropped."""
        if self._since_ns is None:
            return
        now_ns, dropped = self._clock(), self._count_dropped()
        came, passed_ns = self._judged + dropped - self._dropped, now_ns - self._since_ns
        is_behind = self._count_waiting() >= self._many
        if self._judged:  # anew: the processors may have been others' then. Who keeps up could do more than was done
            self._speed = self._judged / (passed_ns if is_behind else self._busy_ns)
        could = self._speed * passed_ns
        if came <= ENOUGH * could:
            self._limit(0)
            self.is_limited, self._since_ns = False, None
        else:
            self._share_out(0.0 if is_behind else self._find_room(could / came, passed_ns))
            self._begin(now_ns)
            self._dropped = dropped

    def _find_room(self, part: float, passed_ns: int) -> float:
        """How many times as much may be judged. Nothing is gained by dropping what comes hardly faster than that; but
        of what comes n times as fast (`part`: 1/n) most is lost anyway, and it gets an nth of the time."""
        return min(2.0, min(ENOUGH, part) * passed_ns / max(1, self._busy_ns))

    def _begin(self, now_ns: int) -> None:
        self._since_ns, self._judged, self._busy_ns = now_ns, 0, 0

    def _look(self, since_ns: int) -> None:
        now_ns = self._clock()
        if now_ns - since_ns < PATIENCE_NS:
            return
        self._since_ns = None  # counted anew, so that it is not looked at with each batch
        if self._count_waiting() >= self._many:
            self._speed = self._judged / (now_ns - since_ns)
            self._share_out(0.0)
            self.is_limited = True
            self._dropped = self._count_dropped()
            self._begin(now_ns)

    def _share_out(self, more: float) -> None:
        """So many times what each had, and at least a quarter of what we can judge; at most one program has it all."""
        least = self._speed * CROWD_MOMENT_NS / USERS_SHARE
        self._share = min(max(least, more * self._share), least * USERS_SHARE * PROGRAMS_SHARE)
        self._limit(max(USERS_SHARE, int(self._share)))


class CrowdWatch:
    """Over one queue, as long as it takes."""

    def __init__(self, crowding: Crowding, attempt: Callable[..., bool]) -> None:
        """`attempt` calls what may fail, and says whether it did not."""
        self._crowding = crowding
        self._attempt = attempt
        self._timer = SingleTimer(self._look_again)

    @property
    def is_limited(self) -> bool:
        return self._crowding.is_limited

    def note_batch(self, size: int, room: int, began_ns: int) -> None:
        """What was worked off just now."""
        if size == room or self._crowding.is_watching:
            self._attempt(self._crowding.note_batch, size, room, time.monotonic_ns() - began_ns)
            self._wait()

    def cancel(self) -> None:
        self._timer.cancel()

    def _look_again(self) -> None:
        self._attempt(self._crowding.look_again)
        self._wait()

    def _wait(self) -> None:
        if self.is_limited:
            self._timer.start(LOOK_S)
