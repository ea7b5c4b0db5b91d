"""The machine's clocks, read where time enters: clock_gettime(2)."""

import time
from pathlib import Path

from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.errors import SnitchError

_OFFSETS = Path("/proc/self/timens_offsets")  # time_namespaces(7); not there where the kernel has none


def read_instant() -> Instant:
    return Instant(time.clock_gettime(time.CLOCK_BOOTTIME), time.time())


def read_boot_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def check_boot_clock() -> None:
    """Raises SnitchError in a time namespace whose boot-time clock is not the one that BPF reads: verdicts that expire
    would hold for too long, or not at all."""
    offsets = _OFFSETS.read_text() if _OFFSETS.exists() else ""
    if any(line.split()[0] == "boottime" and set(line.split()[1:]) != {"0"} for line in offsets.splitlines()):
        problem = "the boot-time clock of this time namespace is not the kernel's"
        raise SnitchError(problem, "start it outside: `nsenter --time=/proc/1/ns/time`")


def read_boot_moment_ns() -> int:
    """The time when the boot-time clock was 0, by the wall clock as it is set now: if inexact, then too late."""
    boot_ns = read_boot_ns()
    return time.time_ns() - boot_ns


def read_boot_id() -> str:
    """Changes with each start of the machine, as the boot-time clock begins anew (random(4))."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
