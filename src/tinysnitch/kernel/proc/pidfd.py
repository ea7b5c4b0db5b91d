"""What only a pidfd gives: notice of a process's end, and the cookie of a socket that another process holds.

A descriptor of pidfd_open(2) becomes readable when the process is gone. pidfd_getfd(2) duplicates a socket, which then
tells its SO_COOKIE (socket(7)): sock_diag has the cookies of TCP and UDP sockets, but not those of ping and raw ones.
"""

import ctypes
import os
import socket
import sys
from contextlib import suppress

from tinysnitch.core.model.errors import unless_short
from tinysnitch.kernel.proc.procfs import is_same_start, read_stat


def open_pidfd(pid: int, started_ns: int) -> int | None:
    """A descriptor for the process that started then; None when it is gone already or the pid is another's now.

    Raises OSError where there is no descriptor to be had.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    # The descriptor pins whoever has the pid now; only then is it safe to ask whether that is still the same one.
    try:
        stat = read_stat(pid)
    except OSError:
        os.close(descriptor)
        raise
    if stat is None or not is_same_start(started_ns, stat.started_ns):
        os.close(descriptor)
        return None
    return descriptor


_PIDFD_GETFD = 438  # the same number everywhere: include/uapi/asm-generic/unistd.h
_SO_COOKIE = 57  # include/uapi/asm-generic/socket.h
_libc = ctypes.CDLL(None, use_errno=True)


def read_cookie(pid: int, descriptor: int) -> int:
    """The cookie; 0 when the process or its descriptor is gone, is no socket, or may not be asked."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError as error:
        return unless_short(error, 0)
    try:
        ours = _libc.syscall(_PIDFD_GETFD, pidfd, descriptor, 0)
    finally:
        os.close(pidfd)
    if ours < 0:
        return unless_short(OSError(ctypes.get_errno(), "pidfd_getfd(2)"), 0)
    try:
        duplicate = socket.socket(fileno=ours)
    except OSError:  # no socket any more
        os.close(ours)
        return 0
    with duplicate, suppress(OSError):  # others' BPF programs may refuse it (BPF_CGROUP_GETSOCKOPT)
        return int.from_bytes(duplicate.getsockopt(socket.SOL_SOCKET, _SO_COOKIE, 8), sys.byteorder)
    return 0
