"""Writes processes and sockets that are older than the daemon into BPF's maps, once, at its start.

(1) The BPF programs are attached already: what they saw is newer, and no write here overwrites it. (2) Processes are
read twice: one that was forked during the first pass, by a parent not yet written, is found by the second. (3) Their
images carry IMAGE_BOOTSTRAPPED: they were read from /proc, so the attribution is weaker (AttributionSource.PROCFS). (4)
For what ended after it was read and before it was written, no hook runs any more: so it is looked for once more, and
withdrawn. (5) Any user may have descriptors by the million, and the start waits until they were read: once those of a
user other than root took ENOUGH_S, only the FEW lowest of each further process of theirs are.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from tinysnitch.core.model.flow import TCP, UDP
from tinysnitch.core.model.process import share_of
from tinysnitch.kernel.attribution.process_image import image_of
from tinysnitch.kernel.bpf.images import Image
from tinysnitch.kernel.bpf.layout import EXEC_ID_UNKNOWN, Listener, Owner, ProcessEntry
from tinysnitch.kernel.netlink.sock_diag import TCP_LISTEN, DiagSocket, SocketDiag, read_raw_sockets
from tinysnitch.kernel.proc import procfs
from tinysnitch.kernel.proc.pidfd import read_cookie
from tinysnitch.kernel.proc.procfs import LiveProcess

ENOUGH_S = 1.0  # for 100,000 descriptors
FEW = 64  # descriptors
MOST = 200_000  # of one process; takes 2 s, or 10 if its files are far below (procfs.py)


class BootstrapTable(Protocol):
    """What is written to: BpfPrograms, or a fake in tests."""

    def find_process(self, pid: int) -> ProcessEntry | None: ...
    def add_image(self, image: Image) -> int: ...
    def add_process(self, pid: int, started_ns: int, exec_id: int) -> bool: ...
    def withdraw_process(self, pid: int, exec_id: int) -> None: ...
    def add_owner(self, cookie: int, owner: Owner, remote: bytes, remote_port: int) -> bool: ...
    def expect_all_listeners(self) -> None: ...
    def add_listener(self, protocol: int, port: int, address: bytes, listener: Listener) -> bool: ...
    def add_kernel_listeners(self) -> None: ...
    def withdraw_listener(self, cookie: int) -> None: ...


Complete = Callable[[LiveProcess], LiveProcess]


def as_read(process: LiveProcess) -> LiveProcess:
    return process


def bootstrap(table: BootstrapTable, sockets: SocketDiag | None, complete: Complete = as_read) -> None:
    """Write down all processes, and the sockets in the network namespace of `sockets`; if that is None, only processes.
    `complete` adds to a process what is known of it besides what /proc says now."""
    for _pass in range(2):
        add_processes(table, complete)
    if sockets:
        add_sockets(table, sockets)


def add_processes(table: BootstrapTable, complete: Complete = as_read) -> None:
    """One pass, parents first."""
    unknown = [procfs.read_process(pid) for pid in procfs.list_processes() if table.find_process(pid) is None]
    found = sorted(filter(None, unknown), key=lambda process: process.started_ns)
    for process in found:
        _add_process(table, complete(process))


def _add_process(table: BootstrapTable, process: LiveProcess) -> None:
    parent = table.find_process(process.parent_pid)
    image = msgspec.structs.replace(image_of(process), parent_exec_id=parent.exec_id if parent else 0)
    exec_id = table.add_image(image)
    if exec_id == EXEC_ID_UNKNOWN:  # no room: the process stays unknown, as one that the BPF programs have no room for
        return
    if table.add_process(process.pid, process.started_ns, exec_id) and procfs.has_ended(process.pid):
        table.withdraw_process(process.pid, exec_id)


def add_sockets(table: BootstrapTable, sockets: SocketDiag) -> None:
    """Give each socket to the newest process that holds it, and the ports to those that listen."""
    table.expect_all_listeners()  # before the look: one that finds no room meanwhile is noted anew
    holders = _find_holders(table)
    found = [*sockets.list_sockets(TCP), *sockets.list_sockets(UDP), *read_raw_sockets()]
    uids: dict[int, int | None] = {}
    new = [each for each in found if each.inode in holders and _add_socket(table, each, holders[each.inode], uids)]
    _withdraw_closed(table, sockets, new)
    if any(each.inode and each.inode not in holders for each in found):  # else each is a program's, and 17 ms are saved
        table.add_kernel_listeners()


def _withdraw_closed(table: BootstrapTable, sockets: SocketDiag, listening: list[DiagSocket]) -> None:
    """Withdraw the listeners that are closed. A long list comes in parts, and may lack an open socket: so each that is
    missing is asked for by itself."""
    there = {each.cookie for protocol in (TCP, UDP) for each in sockets.list_sockets(protocol)} if listening else set()
    for each in listening:
        if each.cookie not in there and not sockets.is_open(each):
            table.withdraw_listener(each.cookie)


class _Holder(msgspec.Struct, frozen=True, order=True):
    is_not_init: bool  # init keeps sockets for the services that it starts
    started_ns: int
    pid: int
    exec_id: int
    descriptor: int


class _DescriptorReader:
    """Reads the descriptors of one process after the other, by rule (5)."""

    def __init__(self) -> None:
        self._took_s: defaultdict[int, float] = defaultdict(float)

    def list_sockets(self, pid: int) -> Iterable[tuple[int, int]]:
        whose = share_of(procfs.read_uid(pid) or 0)
        began_s = time.monotonic()
        most = FEW if self._took_s[whose] >= ENOUGH_S else MOST
        found = tuple(procfs.list_sockets(pid, most if whose else None))
        self._took_s[whose] += time.monotonic() - began_s
        return found


def _find_holders(table: BootstrapTable) -> dict[int, _Holder]:
    """By inode of each held socket, its newest holder."""
    found: dict[int, _Holder] = {}
    reader = _DescriptorReader()
    for pid in procfs.list_processes():
        entry = table.find_process(pid)
        if entry is None:
            continue
        for descriptor, inode in reader.list_sockets(pid):
            holder = _Holder(pid != procfs.INIT, entry.started_ns, pid, entry.exec_id, descriptor)
            found[inode] = max(holder, found.get(inode, holder))
    return found


def _add_socket(table: BootstrapTable, found: DiagSocket, holder: _Holder, uids: dict[int, int | None]) -> bool:
    """True: the socket takes a port that was not noted. `uids`: by pid, the holders' uids that were read so far."""
    # A process in the middle of an exec blocks pidfd_getfd(2), for as long as it likes.
    cookie = found.cookie or procfs.bounded.read(holder.pid, lambda: read_cookie(holder.pid, holder.descriptor))
    if not found.cookie or holder.pid not in uids:  # read_cookie() asked a process: check that it is still this one
        uids[holder.pid] = _read_uid(holder)
    uid = uids[holder.pid]
    if not cookie or uid is None:
        return False
    owner = Owner(holder.exec_id, holder.started_ns, holder.pid, uid)
    table.add_owner(cookie, owner, found.remote, found.remote_port)
    if not _is_listening(found):
        return False
    # Also for a known socket: it may have found no room for its port.
    return table.add_listener(found.protocol, found.local_port, found.local, Listener(cookie, owner))


def _read_uid(holder: _Holder) -> int | None:
    """None: it is gone, and another process may have its pid."""
    uid, stat = procfs.read_uid(holder.pid), procfs.read_stat(holder.pid)
    return uid if stat and procfs.is_same_start(holder.started_ns, stat.started_ns) else None


def _is_listening(found: DiagSocket) -> bool:
    if found.protocol == TCP:
        return found.state == TCP_LISTEN
    return found.protocol == UDP and found.remote_port == 0
