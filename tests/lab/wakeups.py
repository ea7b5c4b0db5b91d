"""How often a process has come to run."""

import re
from pathlib import Path


def count_wakeups(pid: int) -> int:
    """proc_pid_status(5): each time that it was put to sleep it was woken, too."""
    counts = re.findall(r"^voluntary_ctxt_switches:\s+(\d+)", _read_threads(pid), re.M)
    return sum(map(int, counts))


def sleeps(pid: int) -> bool:
    """None of its threads has something to do, be it without a processor."""
    return not re.search(r"^State:\s+R", _read_threads(pid), re.M)


def _read_threads(pid: int) -> str:
    return "".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status"))
