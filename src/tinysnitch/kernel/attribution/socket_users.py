"""Finds the process that uses a socket for inbound packets: its noted owner, or the one that got the socket since.

No hook sees a descriptor that is passed on (unix(7), SCM_RIGHTS), nor a process that changes its user. So on a miss one
look at /proc/PID proves the owner, and only when that fails are all processes looked through. A process that is ending
keeps its descriptors until its memory is freed, but takes no packets any more. A socket that is passed on has no holder
until it is received: so one without a holder is looked for again a moment later.
"""

import time
from collections.abc import Callable
from typing import Protocol

from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.kernel.attribution.socket_holders import ScanNotDue, SocketHolders
from tinysnitch.kernel.bpf.structs import Owner, ProcessEntry
from tinysnitch.kernel.proc import procfs

ON_ITS_WAY_S = 0.02  # how long a socket may take from one process to another; mostly a hundredth of that
_CAPACITY = 256


class ProcessTable(Protocol):
    def find_process(self, pid: int) -> ProcessEntry | None: ...


class SocketUsers:
    def __init__(self, table: ProcessTable, clock: Callable[[], float] = time.monotonic) -> None:
        self._table = table
        self._clock = clock
        self._holders = SocketHolders()
        self._unfound_s: BoundedTable[int, float] = BoundedTable(_CAPACITY)  # by inode: since when it has no holder

    def find_user(self, owner: Owner | None, inode: int, uid: int) -> Owner | None:
        """The owner as it is now, if it runs and holds the socket; else the newest holder, and init only if there is no
        other: it keeps sockets for services. `uid`: who made the socket. Raises ScanNotDue, TooManyWait."""
        if not inode:
            return None
        user = self._find_now(owner, inode, uid)
        if user is not None:
            self._unfound_s.pop(inode)
        else:
            self._wait_for_user(inode)
        return user

    def _wait_for_user(self, inode: int) -> None:
        """Raises ScanNotDue as long as the socket may be on its way to another process."""
        now_s = self._clock()
        since_s = self._unfound_s.find(inode)
        if since_s is None:
            self._unfound_s.put(inode, since_s := now_s)
        if now_s < since_s + ON_ITS_WAY_S:
            raise ScanNotDue(since_s + ON_ITS_WAY_S - now_s)

    def _find_now(self, owner: Owner | None, inode: int, uid: int) -> Owner | None:
        if owner and self._holders.is_held(owner.pid, inode):
            now = owner if self._is_unchanged(owner) else self._read_user(owner.pid)
            if now is not None or not self.is_ending(owner):
                return now
        users = filter(None, map(self._read_user, self._holders.find_holders(inode, uid, self._is_seen)))
        return max(users, key=lambda user: (user.pid != procfs.INIT, user.started_ns), default=None)

    def is_ending(self, owner: Owner) -> bool:
        """Whether BPF saw its last thread end (which Linux 6.18 tells before the memory is freed)."""
        return self._table.find_process(owner.pid) is None and procfs.is_ending(owner.pid)

    def _is_unchanged(self, owner: Owner) -> bool:
        entry = self._table.find_process(owner.pid)
        return entry is not None and (entry.exec_id, procfs.read_uid(owner.pid)) == (owner.exec_id, owner.uid)

    def _is_seen(self, pid: int) -> bool:
        """Whether BPF knows the process, and so has not seen its end."""
        return pid != procfs.INIT and self._table.find_process(pid) is not None

    def _read_user(self, pid: int) -> Owner | None:
        entry, uid = self._table.find_process(pid), procfs.read_uid(pid)
        return Owner(entry.exec_id, entry.started_ns, pid, uid) if entry and uid is not None else None
