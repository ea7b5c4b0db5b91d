"""Finds the uid of a user: getpwnam_r(3). Python's pwd cannot tell a failed look-up from a user that does not exist."""

import ctypes
import errno
import os

from tinysnitch.core.model.errors import unless_short

_ROOM, _MOST_ROOM = 1 << 10, 1 << 20  # bytes
_libc = ctypes.CDLL(None)


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
