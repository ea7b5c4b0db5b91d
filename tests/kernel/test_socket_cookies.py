import os
import socket

import pytest

from tests.kernel.test_attribution import cookie_of
from tinysnitch.kernel.socket_cookies import read_cookie


@pytest.mark.privileged
def test_the_cookie_of_any_socket() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, 1) as opened:
        assert read_cookie(os.getpid(), opened.fileno()) == cookie_of(opened)


def test_no_socket_and_no_process() -> None:
    with open("/dev/null") as file:
        assert read_cookie(os.getpid(), file.fileno()) == 0
    assert read_cookie(os.getpid(), 10**6) == 0
    assert read_cookie(2**22 + 1, 0) == 0
