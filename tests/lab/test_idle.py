"""A daemon that has nothing to do does not wake up, not even for a timer."""

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
WATCHED_S = 36.0  # some things are looked at each 30 s while it is awake
MADE = 200


def is_quiet(pid: int) -> bool:
    before = count_wakeups(pid)
    time.sleep(QUIET_S)
    return count_wakeups(pid) == before


@pytest.mark.slow
def test_an_idle_daemon_sleeps(lab: Lab) -> None:
    daemon = lab.start_daemon(f"allow {WORLD4} 80 tcp {PROGRAM}\n")
    assert StepClient(lab).connect(WORLD4, 80) == "ok"
    daemon.wait_connections(1)
    wait_until(lambda: is_quiet(daemon.process.pid), "it has always something to do")
    before = count_wakeups(daemon.process.pid)
    time.sleep(WATCHED_S)
    assert count_wakeups(daemon.process.pid) == before


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
