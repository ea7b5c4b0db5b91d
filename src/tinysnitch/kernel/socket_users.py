"""Who uses a socket that takes what comes in: who is noted as its owner, or got it since.

No hook sees a descriptor that is passed on (unix(7), SCM_RIGHTS), nor a process that changes its user. So on a miss one
look at /proc/PID proves the owner; only when that fails all processes are looked through. A process that ends keeps its
descriptors until its memory is free, and takes nothing any more. What is passed on is nobody's until it is received:
whoever looks then looks once more a moment later.
"""

import time
from collections.abc import Callable
from typing import Protocol

from tinysnitch.core.table import BoundedTable
from tinysnitch.kernel import procfs
from tinysnitch.kernel.bpf_structs import Owner, ProcessEntry
from tinysnitch.kernel.socket_holders import ScanNotDue, SocketHolders

ON_ITS_WAY_S = 0.02  # from one process to another; mostly it takes a hundredth of that
_CAPACITY = 256


class ProcessTable(Protocol):
    def find_process(self, pid: int) -> ProcessEntry | None: ...


class SocketUsers:
    def __init__(self, table: ProcessTable, clock: Callable[[], float] = time.monotonic) -> None:
        self._table = table
        self._clock = clock
        self._holders = SocketHolders()
        self._unfound_s: BoundedTable[int, float] = BoundedTable(_CAPACITY)  # by inode: since when nobody has it

    def find_user(self, owner: Owner | None, inode: int, uid: int) -> Owner | None:
        """The owner as it is now, while it holds the socket and lives; else the newest holder that is not init, which
        keeps sockets for others. `uid`: who made it. Raises ScanNotDue, TooManyWait."""
        if not inode:
            return None
        user = self._find_now(owner, inode, uid)
        if user is not None:
            self._unfound_s.pop(inode)
        else:
            self._wait_for_user(inode)
        return user

    def _wait_for_user(self, inode: int) -> None:
        """Raises ScanNotDue until it cannot be on its way any more."""
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
        """Whether the kernel's side saw its last thread end (Linux 6.18 tells before the memory goes)."""
        return self._table.find_process(owner.pid) is None and procfs.is_ending(owner.pid)

    def _is_unchanged(self, owner: Owner) -> bool:
        entry = self._table.find_process(owner.pid)
        return entry is not None and (entry.exec_id, procfs.read_uid(owner.pid)) == (owner.exec_id, owner.uid)

    def _is_seen(self, pid: int) -> bool:
        """By the kernel's side, which takes it out as soon as it ends."""
        return pid != procfs.INIT and self._table.find_process(pid) is not None

    def _read_user(self, pid: int) -> Owner | None:
        entry, uid = self._table.find_process(pid), procfs.read_uid(pid)
        return Owner(entry.exec_id, entry.started_ns, pid, uid) if entry and uid is not None else None
