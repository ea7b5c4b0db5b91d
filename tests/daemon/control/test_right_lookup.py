"""Rights of new clients when the user and group databases are slow."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable

import pytest

from tests.daemon.requests.small_desk import RunningServer
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.daemon.control import right_lookup
from tinysnitch.daemon.control.permissions import Permissions, Right
from tinysnitch.daemon.control.right_lookup import MAX_LOOKUPS, MAX_OF_ONE, MAX_WAITING, RightLookup

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


def test_look_ups_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(lookup: RightLookup, names: SlowNames, told: Told) -> None:
        for number in range(MAX_LOOKUPS):
            lookup.find(ALICE + 2 * number, ALICE, told.append)
        with pytest.raises(SnitchError, match="16 users wait"):
            lookup.find(3000, 3000, told.append)
        names.may_end.set()
        await until(told, MAX_LOOKUPS)
        monkeypatch.setattr(right_lookup, "do_beside", _fail)
        with pytest.raises(SnitchError, match="others wait"):
            lookup.find(3000, 3000, told.append)

    in_loop(work)


@pytest.mark.parametrize("comers", [[(ALICE, gid) for gid in range(5)], [(100_000 + 2 * each, 7) for each in range(5)]])
def test_no_person_takes_all_look_ups(comers: list[tuple[int, int]]) -> None:
    async def work(lookup: RightLookup, names: SlowNames, told: Told) -> None:
        for uid, gid in comers[:MAX_OF_ONE]:
            lookup.find(uid, gid, told.append)
        with pytest.raises(SnitchError, match="or of containers, wait"):
            lookup.find(*comers[MAX_OF_ONE], told.append)
        lookup.find(3000, 3000, told.append)
        names.may_end.set()
        await until(told, MAX_OF_ONE + 1)

    in_loop(work)


def _fail(*_work: object) -> None:
    raise RuntimeError("can't start new thread")


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
