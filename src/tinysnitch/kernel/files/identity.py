"""Tells whether the host's file at a path is the one that was executed, and has stayed the same.

BPF captures a file as the s_dev of its superblock and its inode. On btrfs and overlayfs stat(2) makes up another
st_dev; there s_dev is found by the mount: mnt_id of an O_PATH descriptor, looked up in proc_pid_mountinfo(5). But btrfs
counts inodes anew in each subvolume, and anyone can make one. So there a file counts only if root alone can have
mounted it. The type of a file system comes from statfs(2): os.statvfs() does not tell it.
"""

import ctypes
import os
import stat
import sys
import time
from pathlib import PurePosixPath

from tinysnitch.core.model.errors import unless_short
from tinysnitch.core.model.undecoded import bytes_of
from tinysnitch.core.programs.cgroup_owner import SNAP_FOLDERS
from tinysnitch.kernel.system.clock import read_boot_moment_ns
from tinysnitch.kernel.system.proc_place import PROC

PROC_TYPE, TMPFS_TYPE = 0x9FA0, 0x01021994  # include/uapi/linux/magic.h
_ROOM = 512  # bytes, more than any struct statfs has
_MINOR_BITS = 20  # include/linux/kdev_t.h
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


_TABLE_S, _TABLE_PART = 0.1, 1024  # of the processor's time, for a table of mounts; bytes read at once


def decode_device(kernel_device: int) -> int:
    """From the kernel's own dev_t to the form that stat(2) and os.makedev() use."""
    return os.makedev(kernel_device >> _MINOR_BITS, kernel_device & (1 << _MINOR_BITS) - 1)


def encode_device(device: int) -> int:
    """The inverse of decode_device."""
    return os.major(device) << _MINOR_BITS | os.minor(device)


def is_host_file(path: str, device: int, inode: int, *, is_seen_by_all: bool = True) -> bool:
    """Whether the host's file at this path has this inode in the file system with this s_dev (in os.makedev form).

    `is_seen_by_all`: nobody but root can have mounted the file that was executed from this path."""
    try:
        status = os.stat(bytes_of(path))
        if status.st_ino != inode:
            return False
        return status.st_dev == device or (is_seen_by_all and _is_in_superblock(path, device, inode))
    except PermissionError:
        return is_seen_by_all and _read_closed_device(path) == device
    except (OSError, ValueError) as error:
        return unless_short(error, False)


def _read_closed_device(path: str) -> int | None:
    """s_dev of the file system that the path leads into, if even root may not look into that: a user's own FUSE (an
    AppImage, mount.fuse3(8)), or NFS that maps root to nobody. Whoever may look there decides what is at the path."""
    for folder in PurePosixPath(path).parents:
        try:
            descriptor = os.open(bytes_of(str(folder)), os.O_PATH)
        except PermissionError:
            continue
        except OSError as error:
            return unless_short(error, None)
        try:
            return read_superblock_device(descriptor)
        finally:
            os.close(descriptor)
    return None


def find_snap(path: str, device: int, inode: int) -> str | None:
    """The name of the snap to which the executed file belongs: the host's file in a folder where root mounts snaps."""
    folder = next((folder for folder in SNAP_FOLDERS if path.startswith(f"{folder}/")), None)
    if folder is None:
        return None
    rest = path.removeprefix(folder)
    return rest.split("/")[1] if any(is_host_file(each + rest, device, inode) for each in SNAP_FOLDERS) else None


def _is_in_superblock(path: str, device: int, inode: int) -> bool:
    descriptor = os.open(bytes_of(path), os.O_PATH)
    try:
        return is_same_file(descriptor, device, inode)
    finally:
        os.close(descriptor)


def is_same_file(descriptor: int, device: int, inode: int) -> bool:
    """Whether an open file has this inode in the file system with this s_dev."""
    status = os.fstat(descriptor)
    return status.st_ino == inode and (status.st_dev == device or read_superblock_device(descriptor) == device)


def read_superblock_device(descriptor: int, pid: int | str = "self") -> int | None:
    """s_dev of the file behind a descriptor, which belongs to a mount that process `pid` sees. None if it is not found
    in time: any user can make mounts by the thousand, in a namespace of their own."""
    with open(f"{PROC}/self/fdinfo/{descriptor}", "rb") as file:
        mount_id = next((line.split()[1] for line in file if line.startswith(b"mnt_id:")), None)
    end_s = time.thread_time() + _TABLE_S
    with open(f"{PROC}/{pid}/mountinfo", "rb", buffering=_TABLE_PART) as file:
        for line in file:
            fields = line.split(None, 3)
            if fields[0] == mount_id:
                major, minor = fields[2].split(b":")
                return os.makedev(int(major), int(minor))
            if time.thread_time() > end_s:
                break
    return None


def read_executable_device(pid: int) -> int | None:
    """s_dev of the file that a process runs. None when the process is gone, or when its mounts do not have the file (it
    was unmounted lazily, or the process has left its mount namespace): then stat(2) tells the best there is."""
    try:
        descriptor = os.open(f"{PROC}/{pid}/exe", os.O_PATH)
        try:
            return read_superblock_device(descriptor, pid)
        finally:
            os.close(descriptor)
    except OSError as error:
        return unless_short(error, None)


def is_roots_alone(path: str) -> bool:
    """Whether root alone can change the file at an absolute path without links, or put another one in its place."""
    try:
        for place in (*reversed(PurePosixPath(path).parents), path):
            status = os.lstat(bytes_of(str(place)))
            if status.st_uid or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or stat.S_ISLNK(status.st_mode):
                return False
        return stat.S_ISREG(status.st_mode) and is_roots_mount(path)
    except (OSError, ValueError) as error:
        return unless_short(error, False)


def is_roots_mount(path: str) -> bool:
    """Whether only root can have mounted the file system at an absolute path without links. Raises OSError.

    What users may mount (their own disk, FUSE) has owners of their choice, and is always mounted with `nosuid`. So the
    same file system must be seen without `nosuid` by some folder of the path. (NixOS mounts its own store with it.)
    """
    device = os.lstat(bytes_of(path)).st_dev
    places = (bytes_of(str(place)) for place in (path, *PurePosixPath(path).parents))
    return any(os.lstat(place).st_dev == device and not _has_nosuid(place) for place in places)


def _has_nosuid(place: bytes) -> bool:
    return bool(os.statvfs(place).f_flag & os.ST_NOSUID)


def is_in_our_user_namespace(pid: int) -> bool:
    """Whether it is in ours: in another one, its maker may mount anything. False for a process that is gone."""
    try:
        return os.path.samefile(f"{PROC}/{pid}/ns/user", f"{PROC}/self/ns/user")
    except OSError as error:
        return unless_short(error, False)


def is_seen_alike(pid: int, path: str) -> bool:
    """Whether a process of our user namespace sees the host's file at the path, and no other one mounted over it. True
    for a process that is gone: in our user namespace it could not have mounted one."""
    try:
        return os.path.samefile(f"{PROC}/{pid}/root".encode() + bytes_of(path), bytes_of(path))
    except (OSError, ValueError) as error:
        return unless_short(error, not _has_root(pid))


def _has_root(pid: int) -> bool:
    """Whether any thread of a process still has a root folder. None has once the process has ended, even while its pid
    waits for its parent; a first thread may end before the others. A root that may not be read counts."""
    try:
        with os.scandir(f"{PROC}/{pid}/task") as threads:
            return any(_is_link(f"{thread.path}/root") for thread in threads)
    except FileNotFoundError:
        return False


def _is_link(path: str) -> bool:
    try:
        return bool(os.readlink(path))
    except (FileNotFoundError, ProcessLookupError):
        return False
    except PermissionError:
        return True


def is_changed_since(path: str, boot_ns: int) -> bool:
    """Whether another file came to the path, or the file was written, after a moment on the boot-time clock (0: not
    known, so False). Only who may set the clock can forge st_ctime, which lags a clock tick at most: inode(7). That a
    folder above was exchanged is not noticed: its times change with each file made or deleted in it, too."""
    try:
        return boot_ns > 0 and is_younger(os.stat(bytes_of(path)), boot_ns)
    except (OSError, ValueError) as error:
        return unless_short(error, True)


def is_unwritten_since(descriptor: int, boot_ns: int) -> bool:
    """Whether an open file was not written after a moment on the boot-time clock at which nobody had it open for that
    (0 or less: not known, so True). What is written to tmpfs by a mapping does not show in st_ctime (it has no
    page_mkwrite()): there a file counts only if root alone may write it."""
    status = os.fstat(descriptor)
    is_roots = status.st_uid == 0 and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    shows = is_roots or read_file_system_type(f"{PROC}/self/fd/{descriptor}".encode()) != TMPFS_TYPE
    return shows and not (boot_ns > 0 and is_younger(status, boot_ns))


def is_younger(status: os.stat_result, boot_ns: int) -> bool:
    """Whether the file with this status was changed after a moment on the boot-time clock."""
    return status.st_ctime_ns - read_boot_moment_ns() > boot_ns
