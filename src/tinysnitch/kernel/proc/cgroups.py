"""The cgroup2 hierarchy (cgroups(7), cgroup-v2.rst): where it is mounted, a cgroup of our own in it, and paths by id.

A cgroup's path is found by its id without a walk through the tree: the id is the file handle (kernfs_fh_to_dentry()).
A user to whom a folder of the tree was delegated (Delegate= of systemd, pam_cgfs, chown) can give any name to the
folders in it, also that of a container or of a unit of the machine. So a path is cut behind the first such folder,
unless it is a session manager's: cgroups below that are told as its user's (core/programs/cgroup_owner.py).
"""

import ctypes
import errno
import os
import select
import signal
import stat
import struct
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

from tinysnitch.core.model.errors import SnitchError, unless_short
from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.core.programs.cgroup_owner import is_session_manager
from tinysnitch.kernel.proc import procfs
from tinysnitch.kernel.proc.mounts import read_mounts
from tinysnitch.kernel.system.proc_place import PROC

# ip-netns(8): it mounts a /sys of its own.
HIDDEN_HINT = "`ip netns exec NAME` hides it, `nsenter --net=/run/netns/NAME` does not"
_LOOKS, _KILL_EACH_MS = 50, 100
_FILEID_KERNFS = 0xFE  # include/linux/exportfs.h; systemd opens cgroups by id in the same way
_HANDLE = struct.Struct("=IiQ")  # struct file_handle: size, type, the 64-bit kernfs id
_KEPT = 4096  # paths
_CLIMB = "../" * 8  # a path that is too long (PATH_MAX) has more than 15 names: NAME_MAX
_MOST_CLIMBS = 64
_libc = ctypes.CDLL(None, use_errno=True)


def find_cgroup_mount() -> Path:
    """/sys/fs/cgroup, or /sys/fs/cgroup/unified beside version 1. Raises SnitchError when there is none.

    A later mount may hide it, at its own place or above it.
    """
    places = (mount.place for mount in read_mounts() if mount.file_system == "cgroup2")
    place = next(filter(is_cgroup2, places), None)
    if place is None:
        hint = "mount -t cgroup2 none PLACE, which is /sys/fs/cgroup, or where that has version 1 a new folder"
        raise SnitchError("no cgroup2 hierarchy is mounted", f"{hint}; {HIDDEN_HINT}")
    return place


def is_cgroup2(path: Path) -> bool:
    """Whether the path lies in a cgroup2 mount: its st_dev is looked for in proc_pid_mountinfo(5)."""
    try:
        device = path.stat().st_dev
    except OSError:
        return False
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path(PROC, "self/mountinfo").read_text(errors="surrogateescape").split("\n"):
        mount, _, file_system = line.partition(" - ")
        if mount.split(" ")[2:3] == [wanted]:
            return file_system.startswith("cgroup2 ")
    return False


def make_cgroup(name: str) -> Path:
    """A new cgroup right below the root. Raises SnitchError, also when it is there already."""
    path = find_cgroup_mount() / name
    try:
        path.mkdir()
    except OSError as error:
        hint = f"is {path.parent} writable, and none of this name left in it?"
        raise SnitchError(f"cannot make the cgroup {path}: {error.strerror}", hint) from None
    return path


def remove_cgroup(path: Path) -> None:
    """Kill all that runs in it and below, and remove it. Nothing is done when it is gone. Raises SnitchError."""
    if not path.exists():
        return
    if not _empty(path):
        hint = f"{path}/cgroup.procs lists what cannot be killed: it waits for a disk or a file system"
        raise SnitchError(f"the cgroup {path} does not empty", hint)
    try:
        for folder, _folders, _files in os.walk(path, topdown=False):
            os.rmdir(folder)
    except OSError as error:
        hint = "once nothing runs in it, `rmdir` takes it away"
        raise SnitchError(f"cannot remove the cgroup {error.filename}: {error.strerror}", hint) from None


def _empty(path: Path) -> bool:
    """Kill until no process is left; False: after _LOOKS tries some are. poll(2) wakes when `populated` changes
    (cgroup-v2.rst, cgroup.events).

    Tries are counted, not seconds: while the host of a virtual machine keeps its processors, no process can end."""
    with (path / "cgroup.events").open() as events:
        poller = select.poll()
        poller.register(events, select.POLLPRI)
        for _ in range(_LOOKS):
            if "populated 1" not in events.read():
                return True
            _kill_all(path)
            poller.poll(_KILL_EACH_MS)
            events.seek(0)
    return False


def _kill_all(path: Path) -> None:
    """By cgroup.kill, and then each process: cgroup.kill signals the first thread of each alone (__cgroup_kill()), and
    where that one has ended, the others live on and may fork."""
    (path / "cgroup.kill").write_text("1")
    for listed in path.rglob("cgroup.procs"):
        for pid in _read_pids(listed):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _read_pids(listed: Path) -> list[int]:
    """Empty for a cgroup that is gone, and for a threaded one, whose processes are listed by one above it.

    A process outside of our PID namespace is listed as 0, which means our own process group to kill(2).
    """
    try:
        return [int(pid) for pid in listed.read_text().split() if pid != "0"]
    except OSError:
        return []


def path_in_hierarchy(path: Path) -> str:
    """The path from the root of the hierarchy, as xt_cgroup wants it. Raises SnitchError."""
    return os.path.relpath(path, find_cgroup_mount())


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
