"""Finds a cgroup's path by its id, without a walk through the tree: the id is the file handle (kernfs_fh_to_dentry()).

A user to whom a folder of the tree was delegated (Delegate= of systemd, pam_cgfs, chown) can give any name to the
folders in it, also that of a container or of a unit of the machine. So a path is cut behind the first such folder,
unless it is a session manager's: cgroups below that are told as its user's (core/programs/cgroup_owner.py).
"""

import ctypes
import errno
import os
import stat
import struct
from functools import cache, partial

from tinysnitch.core.model.errors import SnitchError, unless_short
from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.core.programs.cgroup_owner import is_session_manager
from tinysnitch.kernel.proc import procfs
from tinysnitch.kernel.proc.cgroups import find_cgroup_mount
from tinysnitch.kernel.system.proc_place import PROC

_FILEID_KERNFS = 0xFE  # include/linux/exportfs.h; systemd opens cgroups by id in the same way
_HANDLE = struct.Struct("=IiQ")  # struct file_handle: size, type, the 64-bit kernfs id
_KEPT = 4096  # paths
_CLIMB = "../" * 8  # a path that is too long (PATH_MAX) has more than 15 names: NAME_MAX
_MOST_CLIMBS = 64
_libc = ctypes.CDLL(None, use_errno=True)


class CgroupPaths:
    """Paths in the cgroup v2 tree, as /proc/PID/cgroup shows them, as far as root named them.

    Ids are never reused until reboot."""

    def __init__(self) -> None:
        self._known: BoundedTable[int, str] = BoundedTable(_KEPT)
        self._mount = _find_mount()
        self._root = os.open(self._mount, os.O_RDONLY | os.O_DIRECTORY) if self._mount else None

    def close(self) -> None:
        if self._root is not None:
            os.close(self._root)
            self._root = None

    def find(self, cgroup_id: int, uid: int) -> str | None:
        """The path of a cgroup, in which a process of this user runs; "" when it is gone, None: not to be had now. (Any
        user can hold the lock of a folder; it is needed for one below that the kernel has no name of in memory.)"""
        path = self._known.find(cgroup_id) if cgroup_id else ""
        if path is None:
            path = procfs.bounded.read_of(uid, partial(self._read, cgroup_id))
            if path:
                self._known.put(cgroup_id, path)
        return path

    def _read(self, cgroup_id: int) -> str:
        if self._root is None:
            return ""
        handle = _HANDLE.pack(8, _FILEID_KERNFS, cgroup_id)
        descriptor = _libc.open_by_handle_at(self._root, handle, os.O_PATH | os.O_CLOEXEC)
        if descriptor < 0:
            return unless_short(OSError(ctypes.get_errno(), "open_by_handle_at(2)"), "")
        return self._cut(_find_place(descriptor).removeprefix(self._mount)) or "/"

    def _cut(self, path: str) -> str:
        """The path up to the first folder in which others than root can make cgroups."""
        place = ""
        for name in path.split("/")[1:]:
            place = f"{place}/{name}"
            if not _is_roots(self._mount + place):
                return path if is_session_manager(name) else place
        return path


def _find_place(descriptor: int) -> str:
    """The path of an open folder, whose descriptor is closed; if it is longer than PATH_MAX, of a folder above it."""
    try:
        for _ in range(_MOST_CLIMBS):
            try:
                return os.readlink(f"{PROC}/self/fd/{descriptor}")
            except OSError as error:
                if error.errno != errno.ENAMETOOLONG:
                    raise
            below, descriptor = descriptor, os.open(_CLIMB, os.O_PATH | os.O_CLOEXEC, dir_fd=descriptor)
            os.close(below)
        return os.readlink(f"{PROC}/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _is_roots(place: str) -> bool:
    try:
        status = os.stat(place)
    except OSError as error:
        return unless_short(error, False)
    return status.st_uid == 0 and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


@cache
def _find_mount() -> str:
    """Where the cgroup v2 tree is mounted, "" when it is not."""
    try:
        return str(find_cgroup_mount())
    except SnitchError:
        return ""


def read_cgroup_id(path: str) -> int:
    """The id of a cgroup, 0 when there is none: its directory's inode."""
    try:
        return os.stat(_find_mount() + path).st_ino
    except OSError as error:
        return unless_short(error, 0)
