"""Who uses a socket that takes what comes in: who is noted as its owner, or got it since.

No hook sees a descriptor that is passed on (unix(7), SCM_RIGHTS), nor a process that changes its user. So on a miss one
look at /proc/PID proves the owner; only when that fails all processes are looked through.
"""

from typing import Protocol

from tinysnitch.kernel import procfs
from tinysnitch.kernel.bpf_structs import Owner, ProcessEntry
from tinysnitch.kernel.socket_holders import SocketHolders


class ProcessTable(Protocol):
    def find_process(self, pid: int) -> ProcessEntry | None: ...


class SocketUsers:
    def __init__(self, table: ProcessTable) -> None:
        self._table = table
        self._holders = SocketHolders()

    def find_user(self, owner: Owner, inode: int) -> Owner | None:
        """The owner as it is now, while it holds the socket; else the newest holder that is not init, which keeps
        sockets for others. Raises ScanNotDue."""
        if not inode:
            return None
        if self._holders.is_held(owner.pid, inode):
            return owner if self._is_unchanged(owner) else self._read_user(owner.pid)
        users = filter(None, map(self._read_user, self._holders.find_holders(inode)))
        return max(users, key=lambda user: (user.pid != procfs.INIT, user.started_ns), default=None)

    def _is_unchanged(self, owner: Owner) -> bool:
        entry = self._table.find_process(owner.pid)
        return entry is not None and (entry.exec_id, procfs.read_uid(owner.pid)) == (owner.exec_id, owner.uid)

    def _read_user(self, pid: int) -> Owner | None:
        entry, uid = self._table.find_process(pid), procfs.read_uid(pid)
        return Owner(entry.exec_id, entry.started_ns, pid, uid) if entry and uid is not None else None
