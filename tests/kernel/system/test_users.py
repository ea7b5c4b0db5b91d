"""Uids of users; a look-up that failed is no missing user."""

import errno
import os
import pwd
from types import SimpleNamespace

import pytest

from tests.shortage import descriptors_left
from tinysnitch.kernel.system import users as user_database
from tinysnitch.kernel.system import users as user_groups
from tinysnitch.kernel.system.users import find_name, find_uid, read_groups


def test_all_users_are_found_as_python_finds_them() -> None:
    for user in pwd.getpwall():
        assert find_uid(user.pw_name) == pwd.getpwnam(user.pw_name).pw_uid
        assert find_name(user.pw_uid) == pwd.getpwuid(user.pw_uid).pw_name


@pytest.mark.parametrize("name", ["no-one-has-it", "", "root\0", "\ud800", "r" * 100_000])
def test_what_nobody_is_called_is_no_user(name: str) -> None:
    assert find_uid(name) is None


def test_without_a_descriptor_nobody_is_taken_for_absent() -> None:
    with descriptors_left(), pytest.raises(OSError, match="Too many open files"):
        find_uid("root")
    assert find_uid("root") == 0


def test_a_long_entry_is_given_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_database, "_ROOM", 1)
    assert find_uid("root") == 0


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOENT, errno.ERANGE])  # the last one however much room there is
def test_a_name_service_that_does_not_know_is_no_error(monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    monkeypatch.setattr(user_database, "_libc", SimpleNamespace(getpwnam_r=lambda *_rest: error))
    assert find_uid("root") is None


@pytest.mark.parametrize("room", [1, 64])
def test_as_python_has_them(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    monkeypatch.setattr(user_groups, "_ROOM", room)
    for user in pwd.getpwall():
        assert read_groups(user.pw_name, user.pw_gid) == set(os.getgrouplist(user.pw_name, user.pw_gid))
    assert read_groups("nobody-of-that-name", 4_000_000_000) == {4_000_000_000}


def test_a_name_service_that_fails_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails without a word on the room that it needs."""
    tries: list[str] = []

    class Broken:
        def getgrouplist(self, user: bytes, *_room: object) -> int:
            tries.append(user.decode())
            assert len(tries) < 3
            return -1

    monkeypatch.setattr(user_groups, "_libc", Broken())
    with pytest.raises(OSError, match="groups of a user"):
        read_groups("root", 0)
    assert tries == ["root"]
