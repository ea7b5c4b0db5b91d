"""The groups of a user: getgrouplist(3). Python's own call keeps all threads from going on meanwhile."""

import ctypes
import os

_ROOM = 64
_libc = ctypes.CDLL(None)


def read_groups(user: str, primary: int) -> frozenset[int]:
    """By the group database, whatever it asks for that."""
    room = ctypes.c_int(_ROOM)
    while True:
        groups = (ctypes.c_uint32 * room.value)()
        count = _libc.getgrouplist(os.fsencode(user), ctypes.c_uint32(primary), groups, ctypes.byref(room))
        if count >= 0:  # else there was no room, and it says now how much it needs
            return frozenset(groups[:count])
