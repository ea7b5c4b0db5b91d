import os
import select
import subprocess
from collections.abc import Iterator

import pytest

from tests.lab.patience import WAIT_S
from tests.shortage import descriptors_left
from tinysnitch.kernel.proc.pidfd import open_pidfd
from tinysnitch.kernel.proc.procfs import read_stat


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as started:
        yield started
        started.kill()


def started_ns(child: subprocess.Popen[bytes]) -> int:
    status = read_stat(child.pid)
    assert status
    return status.started_ns


def test_it_is_readable_when_the_process_has_ended(child: subprocess.Popen[bytes]) -> None:
    descriptor = open_pidfd(child.pid, started_ns(child))
    assert descriptor is not None
    assert select.select([descriptor], [], [], 0)[0] == []
    child.kill()
    assert select.select([descriptor], [], [], 60)[0] == [descriptor]
    os.close(descriptor)


@pytest.mark.parametrize("later_s", [-1, 1])
def test_another_process_with_the_pid_is_none(child: subprocess.Popen[bytes], later_s: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    assert open_pidfd(child.pid, started_ns(child) + later_s * 10**9) is None
    assert len(os.listdir("/proc/self/fd")) == before


def test_where_it_cannot_be_told_whose_the_pid_is_nothing_stays_open(child: subprocess.Popen[bytes]) -> None:
    before, started = os.listdir("/proc/self/fd"), started_ns(child)
    with descriptors_left(1), pytest.raises(OSError, match="Too many open files"):
        open_pidfd(child.pid, started)
    assert os.listdir("/proc/self/fd") == before


def test_a_process_that_is_gone_is_none(child: subprocess.Popen[bytes]) -> None:
    started = started_ns(child)
    child.kill()
    child.wait(timeout=WAIT_S)
    assert open_pidfd(child.pid, started) is None
