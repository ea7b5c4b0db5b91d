"""The cgroup2 hierarchy: where it is mounted, and a cgroup of our own in it (cgroups(7), cgroup-v2.rst)."""

import os
import time
from pathlib import Path

from tinysnitch.core.errors import SnitchError

_GONE_WITHIN_S = 5.0


def find_cgroup_mount(mounts: str | None = None) -> Path:
    """/sys/fs/cgroup on most machines, /sys/fs/cgroup/unified beside version 1; `mounts` as /proc/self/mounts has it."""
    text = Path("/proc/self/mounts").read_text() if mounts is None else mounts
    for line in text.splitlines():
        _device, place, kind, *_rest = line.split(" ")
        if kind == "cgroup2":
            return Path(_unescape(place))
    raise SnitchError("no cgroup2 hierarchy is mounted", "mount -t cgroup2 none /sys/fs/cgroup")


def make_cgroup(name: str) -> Path:
    """A new cgroup right below the root."""
    path = find_cgroup_mount() / name
    try:
        path.mkdir()
    except OSError as error:
        raise SnitchError(f"cannot make the cgroup {path}: {error.strerror}") from None
    return path


def remove_cgroup(path: Path) -> None:
    """Kill what still runs in it, take it away. Right also when it is gone."""
    if not path.exists():
        return
    (path / "cgroup.kill").write_text("1")
    deadline = time.monotonic() + _GONE_WITHIN_S
    while True:
        try:
            return path.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise SnitchError(f"the cgroup {path} does not empty") from None
            time.sleep(0.01)


def list_members(path: Path) -> list[int]:
    return [int(pid) for pid in (path / "cgroup.procs").read_text().split()]


def path_in_hierarchy(path: Path) -> str:
    """As xt_cgroup wants it: from the root of the hierarchy."""
    return os.path.relpath(path, find_cgroup_mount())


def _unescape(place: str) -> str:
    r"""getmntent(3) writes blanks as \040."""
    return place.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
