"""Where this process reads proc(5): in an instance of its own, of which nobody else can keep a folder locked.

Any user can hold the lock of a folder that they may list, without an end (tests/evasion/programs/held_folder.c): in
/proc, that of their processes' folders, of ours and of /proc itself. Whoever looks for a name there that is not in
memory waits. But each mount of proc has folders of its own, since Linux 5.8 (fa10fed30f25).
"""

import ctypes
import fcntl
import os

_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432  # include/uapi/asm-generic/unistd.h; these three are so everywhere
_CLOEXEC, _CREATE = 1, 6  # FSOPEN_CLOEXEC and FSMOUNT_CLOEXEC, FSCONFIG_CMD_CREATE: include/uapi/linux/mount.h
_ATTRIBUTES = 0x2 | 0x4 | 0x8  # MOUNT_ATTR_NOSUID, _NODEV, _NOEXEC
_libc = ctypes.CDLL(None, use_errno=True)


def _call(*words: object) -> int:
    result = int(_libc.syscall(*words))
    if result < 0:
        raise OSError(ctypes.get_errno(), "proc cannot be mounted")
    return result


def _mount() -> int:
    """A mount of proc that is at no path."""
    context = _call(_FSOPEN, b"proc", _CLOEXEC)
    try:
        _call(_FSCONFIG, context, _CREATE, None, None, 0)
        return _call(_FSMOUNT, context, _CLOEXEC, _ATTRIBUTES)
    finally:
        os.close(context)


def _find_place() -> str:
    """Of the mount, or without the rights for one: /proc. The way to it stays in memory while its end is open."""
    try:
        place = f"/proc/self/fd/{_keep(_mount())}"
        _keep(os.open(place, os.O_PATH | os.O_NOFOLLOW))
    except OSError:
        return "/proc"
    return place


def _keep(descriptor: int) -> int:
    """The descriptor by another number, if it has that of a standard stream which whoever started us had closed."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(descriptor)


PROC = _find_place()  # both descriptors stay open
