"""Moments. Nothing in core reads a clock: the driver hands in an Instant with every event."""

import msgspec


class Instant(msgspec.Struct, frozen=True):
    """One moment on both clocks that matter."""

    boot_s: float  # CLOCK_BOOTTIME, seconds: for deadlines; goes on in suspend, never steps
    wall_s: float  # CLOCK_REALTIME, seconds since 1970: for `until=` and for people
