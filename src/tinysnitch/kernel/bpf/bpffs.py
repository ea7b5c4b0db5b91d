"""The file system that pins live in (bpf(2), BPF_OBJ_PIN)."""

import ctypes
import errno
import os
from pathlib import Path

from tinysnitch.core.model.errors import NotPermitted, SnitchError
from tinysnitch.kernel.proc.mounts import Mount, read_mounts

MOUNT_POINT = Path("/sys/fs/bpf")
_OURS = "tinysnitch"  # as the source of a mount it tells later daemons whose it is
_libc = ctypes.CDLL(None, use_errno=True)


def is_mounted() -> bool:
    return _find_mount() is not None


def mount_bpffs() -> None:
    """Mount it unless it is mounted. A clean stop undoes this with `unmount_bpffs`."""
    if not is_mounted() and _libc.mount(_OURS.encode(), os.fsencode(MOUNT_POINT), b"bpf", 0, b"mode=0700"):
        _raise("mounting")


def unmount_bpffs() -> None:
    """Unmount it if this or an earlier daemon mounted it, unless somebody uses it."""
    mount = _find_mount()
    if mount is None or mount.source != _OURS or _has_pins():
        return
    if _libc.umount2(os.fsencode(MOUNT_POINT), 0) and ctypes.get_errno() != errno.EBUSY:
        _raise("unmounting")


def _find_mount() -> Mount | None:
    found = [mount for mount in read_mounts() if (mount.place, mount.file_system) == (MOUNT_POINT, "bpf")]
    return found[-1] if found else None


def _has_pins() -> bool:
    return any(path.is_dir() or not path.name.endswith(".debug") for path in MOUNT_POINT.iterdir())


def _raise(doing: str) -> None:
    number = ctypes.get_errno()
    message = f"{doing} {MOUNT_POINT}: {os.strerror(number)}"
    if number == errno.EPERM:
        raise NotPermitted(message, "run it as root")
    raise SnitchError(message, "the kernel needs CONFIG_BPF_SYSCALL")
