"""Reads the type of a file system: statfs(2), of which os.statvfs() does not tell the type."""

import ctypes
import os
import sys

PROC, TMPFS = 0x9FA0, 0x01021994  # include/uapi/linux/magic.h
_ROOM = 512  # bytes, more than any struct statfs has
# The type comes first: a long, but on s390x an int (__fsword_t).
_TYPE_BYTES = 4 if os.uname().machine == "s390x" else ctypes.sizeof(ctypes.c_long)
_libc = ctypes.CDLL(None, use_errno=True)


def read_file_system_type(path: bytes) -> int:
    """The type of the file system that a path, without NUL, leads into. Raises OSError."""
    room = ctypes.create_string_buffer(_ROOM)
    if _libc.statfs(path, room):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int.from_bytes(room.raw[:_TYPE_BYTES], sys.byteorder)
