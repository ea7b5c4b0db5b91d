"""Finds and removes what a killed run left behind: whatever a test makes on the machine has the pid of its maker in its
name.
"""

import fcntl
import itertools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab import cgroup
from tinysnitch.kernel.resolver.resolv_conf import NETNS_ETC

NETNS_FOLDER = Path("/run/netns")
_NAME = re.compile(r"ts-[a-z]+-(\d+)-\d+")
_number = itertools.count(1)


def own_name(kind: str) -> str:
    """A new name that holds our pid. What belongs to the named thing may have the same name with a suffix."""
    return f"ts-{kind}-{os.getpid()}-{next(_number)}"


def leftovers(pid: int) -> list[Path]:
    """All that a process made and that is still there: cgroups, network namespaces, folders."""
    return [path for path, owner in _find_owned() if owner == pid]


def remove_stale() -> None:
    """Remove what processes left behind that have ended. Each worker of a run does so at its start, one at a time."""
    with turn():
        for path, owner in _find_owned():
            if not Path("/proc", str(owner)).exists():
                _remove(path)


def remove_netns(name: str) -> None:
    if (NETNS_FOLDER / name).exists():
        subprocess.run(["ip", "netns", "delete", name], check=True)


def _find_owned() -> list[tuple[Path, int]]:
    """All leftovers with the pid of their maker: cgroups first, since processes in them still use the rest."""
    places = (cgroup.find_root(), NETNS_FOLDER, NETNS_ETC, Path(tempfile.gettempdir()))
    paths = [path for place in places for path in place.glob("ts-*")]
    return [(path, int(match[1])) for path in paths if (match := _NAME.match(path.name))]


def _remove(path: Path) -> None:
    if path.parent == NETNS_FOLDER:
        remove_netns(path.name)
    elif cgroup.find_root() in path.parents:
        cgroup.remove(path)
    else:
        _remove_folder(path)


def _remove_folder(folder: Path) -> None:
    """Remove a folder, and before it the bpffs that may be mounted there: what is pinned in that stays attached."""
    if folder.is_mount():
        subprocess.run(["umount", str(folder)], check=True)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def turn() -> Iterator[None]:
    """Hold a lock that all workers share: two of them would remove the same things."""
    lock = os.open(cgroup.find_root(), os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
