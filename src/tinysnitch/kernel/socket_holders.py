"""Which processes hold a socket: an index of all /proc/PID/fd, for when nothing was captured.

A scan costs milliseconds, so scans take a third of the time at most: the next one waits twice as long as the last took.
"""

import time
from collections.abc import Callable

from tinysnitch.kernel import procfs

_SHARE = 2  # of the last scan's duration


class SocketHolders:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._holders: dict[int, list[int]] = {}  # as large as /proc: the kernel bounds descriptors
        self._next_scan_s = 0.0

    def find_holders(self, inode: int) -> list[int]:
        """Pids, checked just now, so that each still holds it."""
        if inode not in self._holders:
            self._scan_when_due()
        found = [pid for pid in self._holders.get(inode, ()) if is_held(pid, inode)]
        if not found and inode in self._holders:  # handed on
            self._scan_when_due()
            found = [pid for pid in self._holders.get(inode, ()) if is_held(pid, inode)]
        return found

    def _scan_when_due(self) -> None:
        started_s = self._clock()
        if started_s < self._next_scan_s:
            return
        holders: dict[int, list[int]] = {}
        for pid in procfs.list_processes():
            for inode in {inode for _, inode in procfs.list_sockets(pid)}:
                holders.setdefault(inode, []).append(pid)
        self._holders = holders
        ended_s = self._clock()
        self._next_scan_s = ended_s + _SHARE * (ended_s - started_s)


def is_held(pid: int, inode: int) -> bool:
    """Whether the process has the socket open now."""
    return any(held == inode for _, held in procfs.list_sockets(pid))
