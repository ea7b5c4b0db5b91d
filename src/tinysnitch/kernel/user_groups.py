"""Reads the groups of a user: getgrouplist(3). Python's os.getgrouplist() stops all threads meanwhile."""

import ctypes
import os

_ROOM = 64
_libc = ctypes.CDLL(None)


def read_groups(user: str, primary: int) -> frozenset[int]:
    """All group ids of a user, `primary` among them. Blocks as long as the name service takes."""
    room = ctypes.c_int(_ROOM)
    while True:
        groups = (ctypes.c_uint32 * room.value)()
        count = _libc.getgrouplist(os.fsencode(user), ctypes.c_uint32(primary), groups, ctypes.byref(room))
        if count >= 0:  # else the array was too small; `room` has the size that it needs
            return frozenset(groups[:count])
