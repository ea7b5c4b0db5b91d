"""The cgroup2 hierarchy: where it is mounted, and a cgroup of our own in it (cgroups(7), cgroup-v2.rst)."""

import os
import select
import signal
from contextlib import suppress
from pathlib import Path

from tinysnitch.core.errors import SnitchError
from tinysnitch.kernel.mounts import read_mounts

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
    """Whether it lies in a mount of this type: proc_pid_mountinfo(5) has the device of each, which stat(2) tells."""
    try:
        device = path.stat().st_dev
    except OSError:
        return False
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").split("\n"):
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
    """Kill what still runs in it and below, take it away. Right also when it is gone. Raises SnitchError."""
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
    """Whether no process is left in time; poll(2) wakes when `populated` changes (cgroup-v2.rst, cgroup.events).

    By looks, not by a clock: while the host had our processors, none of those that were killed came to its end."""
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
    """cgroup.kill signals the first thread of each process alone (__cgroup_kill()): where that has ended, the others
    live on, and fork."""
    (path / "cgroup.kill").write_text("1")
    for listed in path.rglob("cgroup.procs"):
        for pid in _read_pids(listed):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _read_pids(listed: Path) -> list[int]:
    """None of a cgroup that is gone, or that lists threads alone: their processes are those of one above it.

    A process of neither our PID namespace nor one below it has the number 0, which to kill(2) is our own process group.
    """
    try:
        return [int(pid) for pid in listed.read_text().split() if pid != "0"]
    except OSError:
        return []


def path_in_hierarchy(path: Path) -> str:
    """As xt_cgroup wants it: from the root of the hierarchy. Raises SnitchError."""
    return os.path.relpath(path, find_cgroup_mount())
