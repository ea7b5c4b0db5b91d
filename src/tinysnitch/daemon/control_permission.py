"""Who may use the control socket: root, the daemon's own user, and members of the group `tinysnitch`."""

import grp
import os
import pwd
import socket
import struct

GROUP = "tinysnitch"
_UCRED = struct.Struct("iII")  # struct ucred: pid, uid, gid (unix(7), SO_PEERCRED)


def read_peer(sock: socket.socket) -> tuple[int, int]:
    """uid and gid at the other end, as the kernel noted them at connect(): no frame can change them."""
    _pid, uid, gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return uid, gid


def may_control(uid: int, gid: int) -> bool:
    return uid in (0, os.geteuid()) or _is_member(uid, gid)


def _is_member(uid: int, gid: int) -> bool:
    """By the group database, so that a new member need not log in again."""
    try:
        group = grp.getgrnam(GROUP).gr_gid
        user = pwd.getpwuid(uid)
    except KeyError:
        return False
    return gid == group or group in os.getgrouplist(user.pw_name, user.pw_gid)
