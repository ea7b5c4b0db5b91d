"""The machine's clocks, read where time enters: clock_gettime(2)."""

import time

from tinysnitch.core.clock import Instant


def read_instant() -> Instant:
    return Instant(time.clock_gettime(time.CLOCK_BOOTTIME), time.time())
