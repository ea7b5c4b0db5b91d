import grp
import os
import pwd
import socket

import pytest

from tests.shortage import descriptors_left
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.rules.qualifiers import LAST_UID
from tinysnitch.daemon.control import permissions as control_permission
from tinysnitch.daemon.control.permissions import Permissions, Right, read_peer

NOBODY = pwd.getpwnam("nobody")
GROUP = grp.getgrgid(NOBODY.pw_gid).gr_name
STRANGER = 4_000_000_000


def right_of(permissions: Permissions, uid: int = NOBODY.pw_uid, gid: int = STRANGER) -> str:
    right = permissions.find(uid, gid)
    if right is None:
        return "none"
    assert right.uid == uid
    return "all" if right.sees_all else "own"


def test_the_kernel_says_who_is_there() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert read_peer(ours) == (os.getuid(), os.getgid())


def test_root_and_the_own_user_may_do_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    assert right_of(Permissions(), 0, 0) == "all"
    assert right_of(Permissions(), os.geteuid(), os.getegid()) == "all"
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY.pw_uid)
    assert right_of(Permissions(), 0, 0) == right_of(Permissions()) == "all"


def test_others_may_do_nothing() -> None:
    assert right_of(Permissions(), gid=NOBODY.pw_gid) == "none"
    assert right_of(Permissions(["daemon"], ["%daemon"])) == "none"
    assert right_of(Permissions(["nobody"], ["%daemon"]), STRANGER) == "none"


def test_members_of_the_group_answer_for_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_permission, "GROUP", GROUP)
    assert right_of(Permissions()) == "own"
    assert right_of(Permissions(), STRANGER, 0) == "none"
    assert right_of(Permissions(), STRANGER, NOBODY.pw_gid) == "own"  # a uid without a name can have the group too


@pytest.mark.parametrize("name", ["nobody", str(NOBODY.pw_uid), f"%{GROUP}"])
def test_who_is_named(name: str) -> None:
    assert right_of(Permissions(users=[name])) == "own"
    assert right_of(Permissions(admins=[name])) == "all"
    assert right_of(Permissions([name], [name])) == "all"


def test_who_cannot_be_looked_up_is_not_taken_for_nobody() -> None:
    permissions = Permissions(["nobody"], ["daemon"])
    with descriptors_left():
        with pytest.raises(OSError, match="Too many open files"):
            permissions.find(NOBODY.pw_uid, STRANGER)
        with pytest.raises(SnitchError, match="'nobody' cannot be looked up: Too many open files"):
            Permissions(["nobody"])


def test_whom_root_started_the_prompt_for_may_do_everything() -> None:
    permissions = Permissions(["nobody"])
    permissions.invite(NOBODY.pw_uid)
    assert right_of(permissions) == "all"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("no-such-user", "no user 'no-such-user'"),
        ("99999999999", "no user '99999999999'"),
        (str(2**32 - 1), "no user"),
        ("9" * 5000, "no user"),
        ("²", "no user '²'"),  # a digit, of which int() makes no number
        ("", "no user ''"),
        ("%no-such-group", "no group 'no-such-group'"),
        ("%", "no group ''"),
    ],
)
def test_a_name_that_nobody_has_is_told(name: str, problem: str) -> None:
    for names in ({"users": [name]}, {"admins": [name]}):
        with pytest.raises(SnitchError, match=problem) as caught:
            Permissions(**names)
        assert caught.value.hint


def test_a_uid_needs_no_name() -> None:
    for uid in (STRANGER, LAST_UID):
        assert right_of(Permissions([str(uid)]), uid) == "own"


@pytest.mark.parametrize(("uid", "own"), [(7, True), (8, False), (0, False), (None, False)])
def test_what_a_right_covers(uid: int | None, own: bool) -> None:
    assert Right(7, sees_all=True).covers(uid)
    assert Right(7, sees_all=False).covers(uid) is own
