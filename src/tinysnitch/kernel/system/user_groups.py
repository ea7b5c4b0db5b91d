"""Reads the groups of a user: getgrouplist(3). Python's os.getgrouplist() stops all threads meanwhile."""

import ctypes
import os

_ROOM = 64
_libc = ctypes.CDLL(None, use_errno=True)


def read_groups(user: str, primary: int) -> frozenset[int]:
    """All group ids of a user, `primary` among them. Blocks as long as the name service takes. Raises OSError when it
    fails (in musl, if nscd breaks off) or memory is short: then the size stays as it was."""
    room = ctypes.c_int(_ROOM)
    size = 0
    while room.value > size:
        size = room.value
        groups = (ctypes.c_uint32 * size)()
        count = _libc.getgrouplist(os.fsencode(user), ctypes.c_uint32(primary), groups, ctypes.byref(room))
        if count >= 0:  # else the array was too small; `room` has the size that it needs
            return frozenset(groups[:count])
    raise OSError(ctypes.get_errno(), "the groups of a user cannot be read")
