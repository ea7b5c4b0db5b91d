import os
import socket

import pytest

from tests.kernel.attribution.test_attribution import cookie_of
from tinysnitch.kernel.proc.socket_cookies import read_cookie


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
