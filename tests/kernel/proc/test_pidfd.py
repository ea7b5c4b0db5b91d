""""""

import os
import select
import socket
import subprocess
from collections.abc import Iterator

import pytest

from tests.kernel.attribution.test_attribution import cookie_of
from tests.lab.patience import WAIT_S
from tests.shortage import descriptors_left
from tinysnitch.kernel.proc.pidfd import open_pidfd, read_cookie
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


@pytest.mark.privileged
def test_the_cookie_of_any_socket() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, 1) as opened:
        assert read_cookie(os.getpid(), opened.fileno()) == cookie_of(opened)


def test_no_socket_and_no_process() -> None:
    with open("/dev/null") as file:
        assert read_cookie(os.getpid(), file.fileno()) == 0
    assert read_cookie(os.getpid(), 10**6) == 0
    assert read_cookie(2**22 + 1, 0) == 0


def test_a_socket_that_tells_nothing_is_closed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others' BPF programs may refuse it (BPF_CGROUP_GETSOCKOPT)."""

    class Silent(socket.socket):
        def getsockopt(self, *_what: object) -> bytes:  # type: ignore[override]
            raise PermissionError

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        before = os.listdir("/proc/self/fd")
        monkeypatch.setattr(socket, "socket", Silent)
        assert read_cookie(os.getpid(), opened.fileno()) == 0
        assert os.listdir("/proc/self/fd") == before
