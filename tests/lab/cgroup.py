"""Control groups (cgroup v2) that the lab makes: where they are, and how to kill and remove one."""

import os
import select
from collections.abc import Iterator
from pathlib import Path

from tests.lab.patience import WAIT_S


def find_root() -> Path:
    """The mount point of the unified hierarchy: /sys/fs/cgroup, or a folder below it on hybrid machines."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _device, place, kind = line.split()[:3]
        if kind == "cgroup2":
            return Path(place)
    raise RuntimeError("no cgroup2 file system is mounted")


def remove(cgroup: Path) -> None:
    """Kill all processes in the cgroup and below it, wait until it is empty, and remove it, if it exists."""
    if not cgroup.exists():
        return
    (cgroup / "cgroup.kill").write_text("1")
    _wait_empty(cgroup)
    for folder in _deepest_first(cgroup):
        folder.rmdir()


def _deepest_first(cgroup: Path) -> Iterator[Path]:
    for folder, _folders, _files in os.walk(cgroup, topdown=False):
        yield Path(folder)


def _wait_empty(cgroup: Path) -> None:
    """cgroup.events wakes a poll when `populated` changes (Documentation/admin-guide/cgroup-v2.rst)."""
    with (cgroup / "cgroup.events").open() as events:
        poller = select.poll()
        poller.register(events, select.POLLPRI)
        while "populated 1" in events.read():
            if not poller.poll(WAIT_S * 1000):
                raise TimeoutError(f"{cgroup} does not get empty")
            events.seek(0)
