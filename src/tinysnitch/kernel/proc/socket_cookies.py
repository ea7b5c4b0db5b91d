"""Reads the cookie of a socket that another process holds: pidfd_getfd(2), then SO_COOKIE (socket(7)).

sock_diag tells the cookies of TCP and UDP sockets; those of ping and raw sockets only the socket itself tells.
"""

import ctypes
import os
import socket
import sys
from contextlib import suppress

from tinysnitch.core.model.errors import unless_short

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
