"""Control groups (cgroup v2) that the lab makes: who is in one, killing all of it, removing it."""

import os
import select
from collections.abc import Iterator
from pathlib import Path

from tests.lab.patience import WAIT_S


def find_root() -> Path:
    """Where the unified hierarchy is mounted: /sys/fs/cgroup, or below it on hybrid machines."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _device, place, kind = line.split()[:3]
        if kind == "cgroup2":
            return Path(place)
    raise RuntimeError("no cgroup2 file system is mounted")


def remove(cgroup: Path) -> None:
    """Kill everything in it and below, wait until it is empty, and take it away. Right also when it is not there."""
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
