"""What a killed run left behind: all that a test makes on the machine is named after the process that made it."""

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

NETNS_FOLDER = Path("/run/netns")
_NAME = re.compile(r"ts-[a-z]+-(\d+)-\d+")
_number = itertools.count(1)


def own_name(kind: str) -> str:
    """For something that this process makes; what else belongs to it may be named so with an ending."""
    return f"ts-{kind}-{os.getpid()}-{next(_number)}"


def leftovers(pid: int) -> list[Path]:
    """All that this process made and that still is there: cgroups, network namespaces, folders."""
    return [path for path, owner in _find_owned() if owner == pid]


def remove_stale() -> None:
    """Take away what runs left behind whose process is gone. Each worker of a run does so at its start: in turn."""
    with turn():
        for path, owner in _find_owned():
            if not Path("/proc", str(owner)).exists():
                _remove(path)


def remove_netns(name: str) -> None:
    if (NETNS_FOLDER / name).exists():
        subprocess.run(["ip", "netns", "delete", name], check=True)


def _find_owned() -> list[tuple[Path, int]]:
    """With whose each is. What is in a cgroup still uses the rest, so cgroups are first."""
    places = (cgroup.find_root(), NETNS_FOLDER, Path(tempfile.gettempdir()))
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
    """With the bpffs that may be mounted there: what is pinned in it stays attached as long as it is."""
    if folder.is_mount():
        subprocess.run(["umount", str(folder)], check=True)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def turn() -> Iterator[None]:
    """One worker after the other: two would take away the same."""
    lock = os.open(cgroup.find_root(), os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
