"""The cgroup2 hierarchy: where it is mounted, and a cgroup of our own in it (cgroups(7), cgroup-v2.rst)."""

import os
import select
import signal
from contextlib import suppress
from pathlib import Path

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.kernel.proc.mounts import read_mounts
from tinysnitch.kernel.system.proc_place import PROC

# ip-netns(8): it mounts a /sys of its own.
HIDDEN_HINT = "`ip netns exec NAME` hides it, `nsenter --net=/run/netns/NAME` does not"
_LOOKS, _KILL_EACH_MS = 50, 100


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
