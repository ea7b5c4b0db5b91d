"""Users whose uids a slow name service tells."""

import asyncio
import threading

import pytest

from tinysnitch.core.rule_text import parse_rule
from tinysnitch.daemon import user_ids
from tinysnitch.daemon.user_ids import UserIds

ALICE, BOB = parse_rule("deny user=alice - - -"), parse_rule("deny user=bob - - -")


class Service:
    """Answers at once in the loop's thread, and when it may in others."""

    def __init__(self) -> None:
        self.uids = {"alice": 1000}
        self.may_answer = threading.Semaphore(0)
        self.asked: list[tuple[str, bool]] = []  # and whether the loop waited for it

    def find_uid(self, name: str) -> int | None:
        is_waited_for = threading.current_thread() is threading.main_thread()
        self.asked.append((name, is_waited_for))
        assert is_waited_for or self.may_answer.acquire(timeout=60)
        return self.uids.get(name)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    made = Service()
    monkeypatch.setattr(user_ids, "find_uid", made.find_uid)
    return made


async def rest(users: UserIds, service: Service) -> None:
    """Let all looks come to their end: none may ask the service of another test."""
    service.may_answer.release(100)
    async with asyncio.timeout(60):
        while users._is_looking:  # noqa: ASYNC110 - nothing there signals an event
            await asyncio.sleep(0.001)


def test_only_a_new_name_is_waited_for(service: Service) -> None:
    async def run() -> None:
        users = UserIds(lambda: None)
        assert users.find([ALICE]) == {"alice": 1000}
        assert users.find([ALICE, BOB]) == {"alice": 1000}
        assert users.find([ALICE, BOB]) == {"alice": 1000}
        assert [name for name, is_waited_for in service.asked if is_waited_for] == ["alice", "bob"]
        await rest(users, service)

    asyncio.run(run())


def test_another_uid_is_told(service: Service) -> None:
    async def run() -> None:
        changed = asyncio.Event()
        users = UserIds(changed.set)
        users.find([ALICE, BOB])
        service.uids = {"alice": 1001, "bob": 1002}
        assert users.find([ALICE, BOB]) == {"alice": 1000}
        service.may_answer.release(2)
        async with asyncio.timeout(60):
            await changed.wait()
        assert users.find([ALICE, BOB]) == {"alice": 1001, "bob": 1002}
        await rest(users, service)

    asyncio.run(run())


def test_what_is_asked_during_a_look_is_looked_up_after_it(service: Service) -> None:
    """The network may have come up meanwhile."""

    async def run() -> None:
        changed = asyncio.Event()
        users = UserIds(changed.set)
        users.find([BOB])
        users.find([BOB])
        users.find([BOB])
        service.may_answer.release()  # nobody has the name
        async with asyncio.timeout(60):
            while len(service.asked) < 3:  # noqa: ASYNC110 - nothing there signals an event
                await asyncio.sleep(0.001)
            service.uids = {"bob": 1002}
            service.may_answer.release()
            await changed.wait()
        assert users.find([BOB]) == {"bob": 1002}
        await rest(users, service)

    asyncio.run(run())


def test_after_the_end_nothing_is_told(service: Service) -> None:
    async def run() -> None:
        told: list[None] = []
        users = UserIds(lambda: told.append(None))
        users.find([ALICE])
        users.find([ALICE])
        users.close()
        service.uids = {"alice": 1001}
        await rest(users, service)
        assert told == []

    asyncio.run(run())


def test_without_threads_what_is_known_holds(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_work: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(user_ids, "do_beside", fail)
    users = UserIds(lambda: None)
    assert [users.find([ALICE]) for _ in range(3)] == [{"alice": 1000}] * 3
