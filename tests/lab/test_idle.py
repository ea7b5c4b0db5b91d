"""A daemon that has nothing to do does not wake up, not even for a timer."""

import os
import time
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.lab.patience import wait_until
from tests.lab.step_client import PROGRAM, StepClient
from tests.lab.wakeups import count_wakeups
from tests.lab.world import WORLD4
from tinysnitch.store.file_watch import NOISE_S

pytestmark = [pytest.mark.privileged]

QUIET_S = 1.5  # after the last work: losses and history are written one second after it
MADE = 200


def is_quiet(pid: int) -> bool:
    before = count_wakeups(pid)
    time.sleep(QUIET_S)
    return count_wakeups(pid) == before


def waits_for_ever(pid: int) -> bool:
    """Whether no thread will wake by itself: the event loop is in epoll_wait(2), with -1 for no limit, and the others
    in futex(2), with NULL. Both take it as their fourth argument (proc_pid_syscall(5)).
    """
    try:
        calls = {int(each.name): (each / "syscall").read_text().split() for each in Path(f"/proc/{pid}/task").iterdir()}
    except (FileNotFoundError, ProcessLookupError):  # a thread ended meanwhile
        return False
    if not all(call[4:] for call in calls.values()):  # one is running
        return False
    limits = {thread: int(call[4], 16) & 0xFFFF_FFFF for thread, call in calls.items()}
    return limits.pop(pid) == 0xFFFF_FFFF and not any(limits.values())


def test_an_idle_daemon_sleeps(lab: Lab) -> None:
    daemon = lab.start_daemon(f"allow {WORLD4} 80 tcp {PROGRAM}\n")
    assert StepClient(lab).connect(WORLD4, 80) == "ok"
    daemon.wait_connections(1)
    pid = daemon.process.pid
    wait_until(lambda: waits_for_ever(pid) and is_quiet(pid) and waits_for_ever(pid), "it has always something to do")
    assert not [fd for fd in Path(f"/proc/{pid}/fd").iterdir() if "timerfd" in os.readlink(fd)]


def test_files_that_others_make_where_a_rules_path_ends_hardly_wake_it(lab: Lab) -> None:
    """A rule may name an AppImage in /tmp that is gone, and /tmp changes all the time."""
    shared = lab.folder / "shared"
    shared.mkdir()
    daemon = lab.start_daemon(f"allow {WORLD4} 80 tcp {shared}/.mount_gone/app\n")
    wait_until(lambda: is_quiet(daemon.process.pid), "it has always something to do")
    before, began_s = count_wakeups(daemon.process.pid), time.monotonic()
    for number in range(MADE):
        (shared / str(number)).touch()
        time.sleep(0.01)
    moments = (time.monotonic() - began_s) / NOISE_S + 1
    assert count_wakeups(daemon.process.pid) - before <= 3 * moments  # a look, and a timer


def test_the_daemon_has_no_tls_in_memory(lab: Lab) -> None:
    daemon = lab.start_daemon(f"allow {WORLD4} 80 tcp {PROGRAM}\n")
    maps = Path(f"/proc/{daemon.process.pid}/maps").read_text()
    assert "libcrypto" in maps
    assert "libssl" not in maps
