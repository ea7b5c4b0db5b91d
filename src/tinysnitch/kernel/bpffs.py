"""The file system that pins live in (bpf(2), BPF_OBJ_PIN)."""

import ctypes
import errno
import os
from pathlib import Path

from tinysnitch.core.errors import NotPermitted, SnitchError
from tinysnitch.kernel.mounts import Mount, read_mounts

MOUNT_POINT = Path("/sys/fs/bpf")
_libc = ctypes.CDLL(None, use_errno=True)


def is_mounted() -> bool:
    return Mount(MOUNT_POINT, "bpf") in read_mounts()


def mount_bpffs() -> bool:
    """Mount it unless it is mounted. True: it was not, so a clean stop may undo this with `unmount_bpffs`."""
    if is_mounted():
        return False
    if _libc.mount(b"bpf", os.fsencode(MOUNT_POINT), b"bpf", 0, b"mode=0700"):
        _raise("mounting")
    return True


def unmount_bpffs() -> None:
    """Unmount it, unless somebody else has pinned something in it meanwhile."""
    if not is_mounted() or any(path.is_dir() or not path.name.endswith(".debug") for path in MOUNT_POINT.iterdir()):
        return
    if _libc.umount2(os.fsencode(MOUNT_POINT), 0):
        _raise("unmounting")


def _raise(doing: str) -> None:
    number = ctypes.get_errno()
    message = f"{doing} {MOUNT_POINT}: {os.strerror(number)}"
    if number == errno.EPERM:
        raise NotPermitted(message, "run it as root")
    raise SnitchError(message, "the kernel needs CONFIG_BPF_SYSCALL")
