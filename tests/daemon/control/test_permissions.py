"""Who gets which right, and how it is looked up without delay for others."""

import asyncio
import grp
import os
import pwd
import socket
import threading
from collections.abc import Awaitable, Callable

import pytest

from tests.daemon.requests.small_handler import RunningServer
from tests.shortage import descriptors_left
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.rules.qualifiers import LAST_UID
from tinysnitch.daemon.control import permissions as control_permission
from tinysnitch.daemon.control.permissions import (
    MAX_LOOKUPS,
    MAX_WAITING,
    Permissions,
    Right,
    RightLookup,
    read_peer,
)

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


ALICE = 1000


class SlowNames(Permissions):
    """A look-up lasts until the test ends it; one of an odd uid fails."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0
        self.may_end = threading.Event()

    def find(self, uid: int, gid: int) -> Right | None:
        if self.is_known(uid):
            return Right(uid, sees_all=True)
        self.looks += 1
        assert self.may_end.wait(60)
        if uid % 2:
            raise OSError("no directory")
        return Right(uid, sees_all=False)


Told = list[Right | SnitchError | None]


def in_loop(work: Callable[[RightLookup, SlowNames, Told], Awaitable[None]]) -> Told:
    """Run the work, and let all look-ups end; the rights that were found."""
    told = Told()

    async def run() -> None:
        names = SlowNames()
        try:
            await work(RightLookup(names), names, told)
        finally:
            names.may_end.set()

    asyncio.run(run())
    return told


async def until(told: Told, count: int) -> None:
    async with asyncio.timeout(60):
        while len(told) < count:  # noqa: ASYNC110 - nothing there signals an event
            await asyncio.sleep(0.001)


def test_root_does_not_wait_behind_others() -> None:
    async def work(lookup: RightLookup, names: SlowNames, told: Told) -> None:
        lookup.find(ALICE, ALICE, told.append)
        lookup.find(0, 0, told.append)
        assert told == [Right(0, sees_all=True)]
        names.may_end.set()
        await until(told, 2)

    assert in_loop(work)[1] == Right(ALICE, sees_all=False)


def test_one_look_serves_all_that_wait_for_it() -> None:
    async def work(lookup: RightLookup, names: SlowNames, told: Told) -> None:
        for _ in range(MAX_WAITING):
            lookup.find(ALICE, ALICE, told.append)
        with pytest.raises(SnitchError, match="16 clients of user 1000 wait"):
            lookup.find(ALICE, ALICE, told.append)
        names.may_end.set()
        await until(told, MAX_WAITING)
        assert names.looks == 1
        lookup.find(ALICE, ALICE, told.append)  # looked up again: the user may be in a group by now
        await until(told, MAX_WAITING + 1)
        assert names.looks == 2

    in_loop(work)


def test_one_client_that_fails_does_not_keep_the_others_waiting(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_right: object) -> None:
        raise OSError("no room in epoll")

    async def work(lookup: RightLookup, names: SlowNames, told: Told) -> None:
        lookup.find(ALICE, ALICE, fail)
        lookup.find(ALICE, ALICE, told.append)
        names.may_end.set()
        async with asyncio.timeout(5):
            await until(told, 1)

    assert in_loop(work) == [Right(ALICE, sees_all=False)]
    assert "no room in epoll" in caplog.text
    caplog.clear()


def test_look_ups_are_bounded() -> None:
    async def work(lookup: RightLookup, names: SlowNames, told: Told) -> None:
        for number in range(MAX_LOOKUPS):
            lookup.find(ALICE + 2 * number, ALICE, told.append)
        with pytest.raises(SnitchError, match="too many users wait"):
            lookup.find(3000, 3000, told.append)
        names.may_end.set()
        await until(told, MAX_LOOKUPS)
        lookup.find(3000, 3000, told.append)
        await until(told, MAX_LOOKUPS + 1)

    in_loop(work)


@pytest.mark.parametrize("comers", [[(ALICE, gid) for gid in range(5)], [(100_000 + 2 * each, 7) for each in range(5)]])
def test_no_person_takes_all_look_ups(comers: list[tuple[int, int]]) -> None:
    async def work(lookup: RightLookup, names: SlowNames, told: Told) -> None:
        for uid, gid in comers[:-1]:
            lookup.find(uid, gid, told.append)
        with pytest.raises(SnitchError, match="too many users wait"):
            lookup.find(*comers[-1], told.append)
        lookup.find(3000, 3000, told.append)
        names.may_end.set()
        await until(told, len(comers))

    in_loop(work)


def test_a_look_up_that_fails_gives_no_right(caplog: pytest.LogCaptureFixture) -> None:
    async def work(lookup: RightLookup, names: SlowNames, told: Told) -> None:
        names.may_end.set()
        lookup.find(ALICE + 1, ALICE, told.append)
        await until(told, 1)

    (error,) = in_loop(work)
    assert isinstance(error, SnitchError)
    assert str(error) == f"the groups of user {ALICE + 1} cannot be looked up"
    assert "OSError: no directory" in caplog.text


def test_who_cannot_be_looked_up_is_not_told_that_it_is_not_permitted(
    running: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = SnitchError("the groups of user 1000 cannot be looked up")
    monkeypatch.setattr(running.server._rights, "find", lambda _uid, _gid, found: found(error))
    with socket.socket(socket.AF_UNIX) as client, client.makefile("rb") as said:
        client.connect(str(running.path))
        assert b'cannot be looked up","hint":"","exit_code":1' in said.read().replace(b'": ', b'":')
    assert running.call(running.clients.statistics).refused == 0


def test_who_cannot_be_looked_up_now_is_refused_and_not_waited_for(
    running: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_comer: object) -> None:
        raise SnitchError("16 users wait to be let in already")

    monkeypatch.setattr(running.server._rights, "find", refuse)
    with socket.socket(socket.AF_UNIX) as client, client.makefile("rb") as said:
        client.connect(str(running.path))
        assert b"wait to be let in already" in said.read()
    assert running.call(running.clients.statistics).crowded_out == 1
    assert running.server._newcomers == set()
