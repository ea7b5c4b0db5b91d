"""The uids of users when the name service is slow."""

import asyncio
import errno
import os
import threading

import pytest

from tinysnitch.daemon.rules import users as user_ids
from tinysnitch.daemon.rules.users import UserIds, UserNames
from tinysnitch.kernel.system.offload import Offload

ALICE, BOTH = frozenset({"alice"}), frozenset({"alice", "bob"})
BOB, NOBODY = BOTH - ALICE, frozenset[str]()


class Service:
    """A name service that answers when the test lets it."""

    def __init__(self) -> None:
        self.uids = {"alice": 1000}
        self.may_answer = threading.Semaphore(0)
        self.asked: list[str] = []

    def find_uid(self, name: str) -> int | None:
        assert threading.current_thread() is not threading.main_thread()
        self.asked.append(name)
        assert self.may_answer.acquire(timeout=60)
        return self.uids.get(name)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    made = Service()
    monkeypatch.setattr(user_ids, "find_uid", made.find_uid)
    monkeypatch.setattr(user_ids, "MOMENT_S", 60.0)
    return made


async def rest(users: UserIds, service: Service) -> None:
    """Let all look-ups end: none may ask the service of a later test."""
    service.may_answer.release(100)
    async with asyncio.timeout(60):
        while users._is_looking or users._new:  # noqa: ASYNC110 - nothing there signals an event
            await asyncio.sleep(0.001)


def test_a_new_name_is_waited_for_and_those_that_are_known_are_not(service: Service) -> None:
    async def run() -> None:
        users = UserIds(lambda: None)
        service.may_answer.release()
        assert users.find(ALICE) == {"alice": 1000}
        assert users.find(ALICE) == {"alice": 1000}
        assert not users.is_awaited(ALICE)
        await rest(users, service)
        assert users.find(BOTH) == {"alice": 1000, "bob": None}
        await rest(users, service)

    asyncio.run(run())


def test_a_name_that_was_forgotten_meanwhile_is_new_again(service: Service) -> None:
    """Even before the loop was told that its first look-up is over."""

    async def run() -> None:
        told: list[None] = []
        users = UserIds(lambda: told.append(None))
        service.may_answer.release(2)
        for names, found in ((ALICE, {"alice": 1000}), (NOBODY, {}), (ALICE, {"alice": 1000})):
            assert users.find(names) == found
        await rest(users, service)
        await asyncio.sleep(0.01)
        assert told == []

    asyncio.run(run())


def test_what_takes_longer_than_a_moment_is_told_once_it_is_found(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_ids, "MOMENT_S", 0.0)

    async def run() -> None:
        changed = asyncio.Event()
        users = UserIds(changed.set)
        assert users.is_awaited(BOTH)
        assert users.find(BOTH) == {}
        service.may_answer.release(2)
        async with asyncio.timeout(60):
            await changed.wait()
        assert not users.is_awaited(BOTH)
        assert users.find(BOTH) == {"alice": 1000, "bob": None}
        await rest(users, service)
        assert sorted(service.asked[:2]) == ["alice", "bob"]

    asyncio.run(run())


def test_what_no_rule_names_any_more_is_not_looked_up_again(service: Service) -> None:
    async def run() -> None:
        users = UserIds(lambda: None)
        service.may_answer.release()
        users.find(ALICE)
        users.find(NOBODY)
        await rest(users, service)
        assert service.asked == ["alice"]

    asyncio.run(run())


def test_some_names_that_were_found_late_are_kept_for_who_tries_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_ids, "MOMENT_S", 0.0)
    monkeypatch.setattr(user_ids, "MAX_LATE", 1)

    async def run() -> None:
        users = UserIds(lambda: None)
        for names in (ALICE, BOB, ALICE):
            for is_awaited in (True, False):
                service.may_answer = threading.Semaphore(0)
                users.find(NOBODY)
                assert users.is_awaited(names) is is_awaited
                await rest(users, service)

    asyncio.run(run())


def test_no_more_threads_wait_than_there_may_be(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_ids, "MOMENT_S", 0.0)
    monkeypatch.setattr(user_ids, "MAX_LOOKS", 1)

    async def run() -> None:
        changed = asyncio.Event()
        users = UserIds(changed.set)
        assert users.is_awaited(ALICE)
        assert users.is_awaited(BOTH)
        service.may_answer.release()
        async with asyncio.timeout(60):
            await changed.wait()
        assert service.asked == ["alice"]
        assert users.is_awaited(BOTH)
        await rest(users, service)
        assert service.asked == ["alice", "bob"]

    asyncio.run(run())


def test_where_the_look_itself_fails_nobody_waits_for_it(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_name: str) -> None:
        raise OSError("broken")

    monkeypatch.setattr(user_ids, "MOMENT_S", 0.0)
    monkeypatch.setattr(user_ids, "find_uid", fail)

    async def run() -> None:
        users = UserIds(lambda: None)
        assert users.is_awaited(ALICE)
        await rest(users, service)
        assert not users.is_awaited(ALICE)

    asyncio.run(run())
    assert caplog.messages == ["failed: beside the loop"]


def test_a_shortage_makes_nobody_absent(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a new name nor a known one."""
    answers: list[int | None] = []

    def find(_name: str) -> int:
        answer = answers.pop(0)
        if answer is None:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return answer

    monkeypatch.setattr(user_ids, "find_uid", find)
    monkeypatch.setattr(user_ids, "AGAIN_S", 0.001)

    async def run() -> None:
        changed: list[None] = []
        users = UserIds(lambda: changed.append(None))
        for answers[:] in ([None, None, 1000], [None, 1000]):
            assert users.find(ALICE) == {"alice": 1000}
            await rest(users, service)
        assert (answers, changed) == ([], [])

    asyncio.run(run())


def test_another_uid_is_told(service: Service) -> None:
    async def run() -> None:
        changed = asyncio.Event()
        users = UserIds(changed.set)
        service.may_answer.release(2)
        users.find(BOTH)
        service.uids = {"alice": 1001, "bob": 1002}
        assert users.find(BOTH) == {"alice": 1000, "bob": None}
        service.may_answer.release(2)
        async with asyncio.timeout(60):
            await changed.wait()
        assert users.find(BOTH) == {"alice": 1001, "bob": 1002}
        await rest(users, service)

    asyncio.run(run())


def test_what_is_asked_during_a_look_is_looked_up_after_it(service: Service) -> None:
    """The network may have come up during the look-up."""

    async def run() -> None:
        changed = asyncio.Event()
        users = UserIds(changed.set)
        service.may_answer.release()
        for _new_then_looked_up_again_then_during_that in range(3):
            users.find(BOB)
        service.may_answer.release()  # nobody has the name
        async with asyncio.timeout(60):
            while len(service.asked) < 3:  # noqa: ASYNC110 - nothing there signals an event
                await asyncio.sleep(0.001)
            service.uids = {"bob": 1002}
            service.may_answer.release()
            await changed.wait()
        assert users.find(BOB) == {"bob": 1002}
        await rest(users, service)

    asyncio.run(run())


def test_after_the_end_nothing_is_told(service: Service) -> None:
    async def run() -> None:
        told: list[None] = []
        users = UserIds(lambda: told.append(None))
        service.may_answer.release()
        users.find(ALICE)
        users.find(ALICE)
        users.close()
        service.uids = {"alice": 1001}
        await rest(users, service)
        assert told == []

    asyncio.run(run())


def test_without_threads_what_is_known_holds(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_ids, "find_uid", service.uids.get)
    users = UserIds(lambda: None, Offload(max_threads=0))
    assert [users.find(ALICE) for _ in range(3)] == [{"alice": 1000}] * 3


def test_who_made_a_rule_is_named_or_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name service may need the network, and so our verdicts: nobody waits for it for long."""
    may_end = threading.Event()
    names = UserNames()
    assert (names.find(0), names.find(4_294_967_000)) == ("root", "4294967000")
    with monkeypatch.context() as slow:
        slow.setattr(user_ids, "find_name", lambda _uid: may_end.wait(60) and "alice")
        slow.setattr(user_ids, "MOMENT_S", 0.01)
        assert names.find(1000) == "1000"
        may_end.set()
    monkeypatch.setattr(user_ids, "find_name", lambda _uid: "alice")
    assert names.find(1000) == "alice", "the next time it is asked again"
