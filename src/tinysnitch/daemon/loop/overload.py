"""Notices when packets come faster than we judge (or read) them, and limits each user's share (rate_limit.bpf.c).

All packets share a queue of one length, and a flood from a remote or a program comes faster than we can judge. A
program that only has many connections at once is not limited: they have room in the queue.
"""

import time
from collections.abc import Callable

from tinysnitch.daemon.scheduling.timers import SingleTimer
from tinysnitch.kernel.bpf.layout import QUOTA_MOMENT_NS

MANY = 2048  # waiting packets that are too many: a quarter of the queue, some 0.1 s
MANY_MESSAGES = 512  # the same for DNS messages; one may take 4 ms, with as many addresses as it can hold
PATIENCE_NS = 50_000_000  # how long all batches are full before the waiting packets are counted, which takes 40 us
LOOK_S = 0.25  # while limited: how often we look whether the limit can go
USERS_SHARE = 4  # one user gets at least a quarter of what we can judge
PROGRAMS_SHARE = 4  # one program gets a quarter of its user's share (bpf/programs/rate_limit.bpf.c)
ENOUGH = 0.75  # of what we can judge: less than that is no flood, and the shares take no more of our time


class Overload:
    def __init__(
        self,
        count_waiting: Callable[[], int],
        limit: Callable[[int], object],
        count_dropped: Callable[[], int],
        clock: Callable[[], int] = time.monotonic_ns,
        *,
        many: int = MANY,
    ) -> None:
        """`count_waiting`: packets in the queue that we have not looked at. `limit`: sets a user's share in packets, or
        no limit (0). `count_dropped`: all packets that the limit dropped so far. `many`: begin when so many wait."""
        self.is_limited = False
        self._count_waiting = count_waiting
        self._limit = limit
        self._count_dropped = count_dropped
        self._clock = clock
        self._many = many
        # When the first of the full batches came without a pause; while limited, when `look_again` last looked.
        self._since_ns: int | None = None
        self._judged = self._busy_ns = 0  # packets judged since then, and how long that took
        self._dropped = 0  # packets dropped by the limit until then
        self._speed = 0.0  # packets that we can judge in a nanosecond
        self._share = 0.0  # packets of one user in QUOTA_MOMENT_NS

    @property
    def is_watching(self) -> bool:
        """Whether every batch must be noted; if not, only full ones."""
        return self._since_ns is not None

    def note_batch(self, size: int, room: int, took_ns: int) -> None:
        """Note that a batch of `size` packets was judged. It had `room` for so many; when full, more may wait."""
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
        """Called each LOOK_S while limited: lift the limit if we could judge all that comes, even what is dropped; else
        set the shares anew."""
        if self._since_ns is None:
            return
        now_ns, dropped = self._clock(), self._count_dropped()
        came, passed_ns = self._judged + dropped - self._dropped, now_ns - self._since_ns
        is_behind = self._count_waiting() >= self._many
        # The speed is measured again each time: other programs may have had the processors before. When we keep up we
        # could judge more than came, so only the time spent on judging counts.
        if self._judged:
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
        """By which factor the shares may grow. `part`: what we can judge as a part of what comes.

        Dropping gains nothing when packets come hardly faster than we judge. When they come n times as fast most are
        lost anyway, and the flood gets only an nth of our time.
        """
        return min(2.0, min(ENOUGH, part) * passed_ns / max(1, self._busy_ns))

    def _begin(self, now_ns: int) -> None:
        self._since_ns, self._judged, self._busy_ns = now_ns, 0, 0

    def _look(self, since_ns: int) -> None:
        now_ns = self._clock()
        if now_ns - since_ns < PATIENCE_NS:
            return
        self._since_ns = None  # wait PATIENCE_NS again, so that waiting packets are not counted with each batch
        if self._count_waiting() >= self._many:
            self._speed = self._judged / (now_ns - since_ns)
            self._share_out(0.0)
            self.is_limited = True
            self._dropped = self._count_dropped()
            self._begin(now_ns)

    def _share_out(self, more: float) -> None:
        """Multiply the shares by `more`. A user gets at least a quarter of what we can judge, and at most so much
        that a single program may have all of it."""
        least = self._speed * QUOTA_MOMENT_NS / USERS_SHARE
        self._share = min(max(least, more * self._share), least * USERS_SHARE * PROGRAMS_SHARE)
        self._limit(max(USERS_SHARE, int(self._share)))


class OverloadWatch:
    """Notes the batches of one queue, and looks again by a timer as long as it is limited."""

    def __init__(self, overload: Overload, attempt: Callable[..., bool]) -> None:
        """`attempt` calls a function that may fail, and returns whether it succeeded."""
        self._overload = overload
        self.is_watching = False  # whether every batch must be noted; if not, only full ones
        self._attempt = attempt
        self._timer = SingleTimer(self._look_again)

    @property
    def is_limited(self) -> bool:
        return self._overload.is_limited

    def note_batch(self, size: int, room: int, began_ns: int) -> None:
        """Note a batch that was just judged. `began_ns`: when that began, by the monotonic clock."""
        self._attempt(self._overload.note_batch, size, room, time.monotonic_ns() - began_ns)
        self._go_on()

    def cancel(self) -> None:
        self._timer.cancel()

    def _look_again(self) -> None:
        self._attempt(self._overload.look_again)
        self._go_on()

    def _go_on(self) -> None:
        self.is_watching = self._overload.is_watching
        if self.is_limited:
            self._timer.start(LOOK_S)
