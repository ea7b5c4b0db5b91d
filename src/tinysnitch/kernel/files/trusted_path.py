"""Follows paths to files by links that were the same when the program started: of scripts only the paths are known."""

import os
import stat
from collections.abc import Sequence

from tinysnitch.core.model.errors import unless_short
from tinysnitch.core.model.undecoded import bytes_of, text_of
from tinysnitch.kernel.files.identity import PROC_TYPE, TMPFS_TYPE, is_roots_mount, is_younger, read_file_system_type

_MAX_PARTS = 128  # of a path and of all links on it, which takes 2 ms; there could be 80,000


def resolve_file(path: str, uid: int = 0, boot_ns: int = 0) -> str | None:
    """The path without links of the regular file that an absolute path leads to, None when there is none.

    A symbolic link counts only if it is root's, since any other owner may have changed it after the program started;
    and not in a file system that users may mount, with owners of their choice. A link of the user `uid`, who runs the
    program, counts too if it is older than the start (`boot_ns`, on the boot-time clock) and leads to a file of that
    user.
    """
    current, pending = "", _names(path)
    mode, parts, is_own = stat.S_IFDIR, 0, False
    while pending:
        part, parts = pending.pop(), parts + 1
        if parts > _MAX_PARTS:
            return None
        component = _read_component(f"{current}/{part}", uid, boot_ns) if part != ".." else (stat.S_IFDIR, 0, "..")
        if component is None:
            return None
        mode, owner, link = component
        if part == "..":
            current = current.rpartition("/")[0]
        elif link is None:
            current = f"{current}/{part}"
        else:
            is_own = is_own or owner != 0
            pending += _names(link)
            current = "" if link.startswith("/") else current
    return current if stat.S_ISREG(mode) and not (is_own and owner != uid) else None


def may_climb(uid: int, left: Sequence[str], script: str) -> bool:
    """Whether the folders that `..` leaves were where they are now when a process of this user started: root alone can
    move them. True also if the script is the user's own, who may change it in any case."""
    try:
        return os.stat(bytes_of(script)).st_uid == uid or all(map(_is_fixed, left))
    except (OSError, ValueError) as error:
        return unless_short(error, False)


def _is_fixed(folder: str) -> bool:
    """Whether root alone can move or unmount the folder. In a sticky folder the owner of one can move it: inode(7)."""
    above = os.lstat(os.path.dirname(bytes_of(folder)))
    return above.st_uid == 0 and not above.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and _is_in_roots_mount(folder)


def _is_in_roots_mount(folder: str) -> bool:
    """Whether root alone mounts such a file system. It is tmpfs where NixOS has a link that all paths lead over."""
    return is_roots_mount(folder) or read_file_system_type(bytes_of(folder)) == TMPFS_TYPE


def _names(path: str) -> list[str]:
    """Components, the last first."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _read_component(path: str, uid: int, boot_ns: int) -> tuple[int, int, str | None] | None:
    """Mode, owner and, for a link of root's or this user's, where it leads; None for what does not count."""
    try:
        status = os.lstat(bytes_of(path))
        if not stat.S_ISLNK(status.st_mode):
            # To the daemon, `self` and the like are not the program. Any mount of proc comes as a folder first.
            is_proc = stat.S_ISDIR(status.st_mode) and read_file_system_type(bytes_of(path)) == PROC_TYPE
            return None if is_proc else (status.st_mode, status.st_uid, None)
        if status.st_uid and (status.st_uid != uid or is_younger(status, boot_ns)):
            return None
        if status.st_uid == 0 and not _is_in_roots_mount(os.path.dirname(path)):
            return None
        return status.st_mode, status.st_uid, text_of(os.readlink(bytes_of(path)))
    except (OSError, ValueError) as error:
        return unless_short(error, None)
