import grp
import os
import pwd
import socket

import pytest

from tinysnitch.daemon import control_permission
from tinysnitch.daemon.control_permission import may_control, read_peer

NOBODY = pwd.getpwnam("nobody")


def test_the_kernel_says_who_is_there() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert read_peer(ours) == (os.getuid(), os.getgid())


def test_root_and_the_own_user_may() -> None:
    assert may_control(0, 0)
    assert may_control(os.geteuid(), os.getegid())


def test_others_may_not() -> None:
    assert not may_control(NOBODY.pw_uid, NOBODY.pw_gid)
    assert not may_control(4_000_000_000, 4_000_000_000)


def test_members_of_the_group_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_permission, "GROUP", grp.getgrgid(NOBODY.pw_gid).gr_name)
    assert may_control(NOBODY.pw_uid, 4_000_000_000)
    assert not may_control(4_000_000_000, 0)
