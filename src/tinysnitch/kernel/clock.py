"""The machine's clocks, read where time enters: clock_gettime(2)."""

import time
from pathlib import Path

from tinysnitch.core.clock import Instant


def read_instant() -> Instant:
    return Instant(time.clock_gettime(time.CLOCK_BOOTTIME), time.time())


def read_boot_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def read_boot_moment_ns() -> int:
    """When the boot-time clock was 0, by the wall clock as it is set now; rather later than earlier."""
    boot_ns = read_boot_ns()
    return time.time_ns() - boot_ns


def read_boot_id() -> str:
    """Another one after each start of the machine, whose boot-time clock begins anew (random(4))."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
