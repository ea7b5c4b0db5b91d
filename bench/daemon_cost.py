"""What the daemon used: CPU time and memory, from /proc (proc_pid_stat(5), proc_pid_status(5))."""

import os
from pathlib import Path

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def read_cpu_s(pid: int) -> float:
    """User and system time of all its threads, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = int(fields[11]), int(fields[12])  # fields 14 and 15 of the man page
    return (user + system) / _TICKS_A_SECOND


def read_resident_mb(pid: int | str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
