"""Whether processes are idle, by the kernel's count of their wakeups; and how to stop one for sure."""

import os
import re
import signal
import time
from contextlib import suppress
from pathlib import Path

from tests.lab.patience import wait_until
from tinysnitch.daemon.loop.netfilter_guard import SETTLE_S

REST_S = 0.05


def count_wakeups(pid: int) -> int:
    """How often the process's threads have gone to sleep, and so have been woken (proc_pid_status(5))."""
    counts = re.findall(r"^voluntary_ctxt_switches:\s+(\d+)", _read_threads(pid), re.M)
    return sum(map(int, counts))


def are_at_rest(*pids: int, moment_s: float = REST_S) -> bool:
    """Whether the processes did nothing for a moment, and none of their threads is running or waits for a processor."""
    before = [*map(count_wakeups, pids)]
    time.sleep(moment_s)
    is_running = any(re.search(r"^State:\s+R", _read_threads(pid), re.M) for pid in pids)
    return before == [*map(count_wakeups, pids)] and not is_running


def wait_settled(daemon: int) -> None:
    """Wait until a daemon that has just started has checked its netfilter rules: it needs descriptors and children."""
    wait_until(lambda: are_at_rest(daemon, moment_s=2 * SETTLE_S) and not _has_children(daemon), "it goes on and on")


def stand_still(pid: int) -> None:
    """Stop the process until SIGCONT, and wait until all its threads are stopped.

    After the signal alone a thread goes on until it next has a processor. One that waits, such as a FUSE server for a
    request, would even take a request that comes meanwhile before it stops.
    """
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: not re.search(r"^State:\s+[^T]", _read_threads(pid), re.M), f"{pid} does not stop")


def _has_children(pid: int) -> bool:
    return bool(_read_threads(pid, "children"))


def _read_threads(pid: int, name: str = "status") -> str:
    said = []
    for path in Path(f"/proc/{pid}/task").glob(f"*/{name}"):
        with suppress(FileNotFoundError, ProcessLookupError):  # one may end meanwhile
            said.append(path.read_text())
    return "".join(said)
