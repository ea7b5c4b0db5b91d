"""The uid of a user, the name of a uid, and the groups: getpwnam_r(3), getpwuid(3), getgrouplist(3).

Python's pwd cannot tell a failed look-up from a user that does not exist, and its os.getgrouplist() stops all threads
meanwhile.
"""

import ctypes
import errno
import os
import pwd

from tinysnitch.core.model.errors import unless_short

_ROOM, _MOST_ROOM = 1 << 10, 1 << 20  # bytes
_MANY_GROUPS = 64
_libc = ctypes.CDLL(None, use_errno=True)


class _Entry(ctypes.Structure):
    """struct passwd: include/pwd.h of glibc and musl."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("password", ctypes.c_char_p),
        ("uid", ctypes.c_uint32),
        ("gid", ctypes.c_uint32),
        ("remark", ctypes.c_char_p),
        ("home", ctypes.c_char_p),
        ("shell", ctypes.c_char_p),
    )


def find_uid(name: str) -> int | None:
    """None: no user has the name, or the name service does not know. Raises OSError when there are too few descriptors
    or too little memory: taken for "no such user", that would let pass what a rule denies."""
    if "\0" in name:
        return None
    try:
        return _look_up(os.fsencode(name))
    except (OSError, UnicodeEncodeError) as error:
        return unless_short(error, None)


def _look_up(name: bytes) -> int | None:
    entry, found, size = _Entry(), ctypes.c_void_p(), _ROOM
    while True:
        room = ctypes.create_string_buffer(size)
        failed = _libc.getpwnam_r(name, ctypes.byref(entry), room, ctypes.c_size_t(size), ctypes.byref(found))
        if failed != errno.ERANGE or size >= _MOST_ROOM:
            break
        size *= 4
    if failed:
        raise OSError(failed, os.strerror(failed))
    return int(entry.uid) if found.value else None


def find_name(uid: int) -> str | None:
    """The name of a user, for people to read. None: there is none, or the name service does not know."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def read_groups(user: str, primary: int) -> frozenset[int]:
    """All group ids of a user, `primary` among them. Blocks as long as the name service takes. Raises OSError when it
    fails (in musl, if nscd breaks off) or memory is short: then the size stays as it was."""
    room = ctypes.c_int(_MANY_GROUPS)
    size = 0
    while room.value > size:
        size = room.value
        groups = (ctypes.c_uint32 * size)()
        count = _libc.getgrouplist(os.fsencode(user), ctypes.c_uint32(primary), groups, ctypes.byref(room))
        if count >= 0:  # else the array was too small; `room` has the size that it needs
            return frozenset(groups[:count])
    raise OSError(ctypes.get_errno(), "the groups of a user cannot be read")
