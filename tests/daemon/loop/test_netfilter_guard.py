"""With rules that the test takes away; tests/lab/test_taken_away.py has real ones."""

import asyncio
import threading
from collections.abc import Iterator
from typing import cast

import pytest

from tests.bpf.packet_place import PacketPlace, entered
from tests.daemon.loop.driver_place import until
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.daemon.loop import netfilter_guard
from tinysnitch.daemon.loop.netfilter_guard import PUT_BACK, TAKEN_AWAY, NetfilterGuard
from tinysnitch.kernel.netfilter.firewall import Netfilter


class Rules:
    """Rules that are gone at first. The first `failures` tries to add them fail, the first looks raise `blindness`."""

    def __init__(self, failures: int = 0, blindness: tuple[Exception, ...] = ()) -> None:
        self.is_there = False
        self.looks = 0
        self.guard: NetfilterGuard | None = None
        self.known: list[str] = []  # the guard's `problem` each time that rules were added
        self._failures = iter(range(failures))
        self._blindness = iter(blindness)

    def is_whole(self) -> bool:
        self.looks += 1
        if failure := next(self._blindness, None):
            raise failure
        return self.is_there

    def add_again(self) -> None:
        self.known.append(self.guard.problem if self.guard else "")
        if next(self._failures, None) is not None:
            raise SnitchError("iptables-restore: busy")
        self.is_there = True


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(netfilter_guard, "SETTLE_S", 0.0)
    monkeypatch.setattr(netfilter_guard, "PAUSE_S", 0.0)
    return


def guard_of(rules: Rules, told: list[str]) -> NetfilterGuard:
    return NetfilterGuard(cast(Netfilter, rules), lambda what, _hint: told.append(what))


async def guard_until(rules: Rules, told: list[str], *, count: int) -> NetfilterGuard:
    guard = rules.guard = guard_of(rules, told)
    guard.start()
    guard._take_news()
    await until(lambda: len(told) >= count and rules.looks)
    await guard.stop()
    return guard


def test_what_is_gone_is_put_back_and_told() -> None:
    told: list[str] = []
    guard = asyncio.run(guard_until(Rules(), told, count=1))
    assert (told, guard.put_back) == ([PUT_BACK], 1)


def test_what_went_before_it_listened_is_put_back() -> None:
    """There is no event for what happened before."""
    rules, told = Rules(), list[str]()

    async def run() -> None:
        guard = guard_of(rules, told)
        guard.start()
        await until(lambda: told)
        await guard.stop()

    asyncio.run(run())
    assert (told, rules.is_there) == ([PUT_BACK], True)


def test_who_takes_them_away_again_at_once_wins_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause is fixed here, since looks take no time."""
    monkeypatch.setattr(netfilter_guard, "PAUSE_S", 1000.0)
    rules, told = Rules(), list[str]()

    async def run() -> None:
        def tell(what: str, _hint: str) -> None:
            told.append(what)
            rules.is_there = False
            guard._take_news()

        guard = NetfilterGuard(cast(Netfilter, rules), tell)
        guard.start()
        guard._take_news()
        await until(lambda: len(told) >= 3)
        await guard.stop()

    asyncio.run(run())
    assert told == [PUT_BACK] * 3


def test_while_they_are_put_back_it_is_known_that_they_are_gone() -> None:
    """iptables may take half a minute, and `status` must tell meanwhile that nothing is judged."""
    rules, told = Rules(failures=1), list[str]()
    guard = asyncio.run(guard_until(rules, told, count=2))
    assert (rules.known, told, guard.problem) == ([TAKEN_AWAY, FAILED], [FAILED, PUT_BACK], "")


FAILED = "netfilter rules taken away by others, not put back: iptables-restore: busy"


def test_what_cannot_be_put_back_is_tried_again_and_told_once() -> None:
    told: list[str] = []
    rules = Rules(failures=5)
    guard = asyncio.run(guard_until(rules, told, count=2))
    assert (told, guard.put_back, guard.problem, rules.looks) == ([FAILED, PUT_BACK], 1, "", 6)


def test_who_is_told_gets_a_hint() -> None:
    hints: list[str] = []
    rules = Rules(failures=1)
    guard = NetfilterGuard(cast(Netfilter, rules), lambda _what, hint: hints.append(hint))

    async def run() -> None:
        guard.start()
        await until(lambda: len(hints) >= 2)
        await guard.stop()

    asyncio.run(run())
    assert hints == ["restart tinysnitchd", "`nft monitor` tells who does it"]


def test_after_a_try_that_failed_it_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where iptables fails at once it would be run without a pause."""
    monkeypatch.setattr(netfilter_guard, "PAUSE_S", 1000.0)
    rules, told = Rules(failures=1), list[str]()

    async def run() -> None:
        guard = guard_of(rules, told)
        guard.start()
        await until(lambda: told)
        await asyncio.sleep(0.05)
        await guard.stop()

    asyncio.run(run())
    assert (told, rules.looks) == ([FAILED], 1)


def test_what_lasts_is_told_again_after_a_while_and_known_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netfilter_guard, "TOLD_AGAIN_S", 0.0)
    told: list[str] = []
    guard = asyncio.run(guard_until(Rules(failures=1000), told, count=3))
    assert (set(told), guard.problem) == ({FAILED}, FAILED)


def test_no_look_that_fails_is_the_last() -> None:
    told: list[str] = []
    failures = (SnitchError("no process"), OSError(24, "no descriptor"), RuntimeError("no thread"))
    guard = asyncio.run(guard_until(Rules(blindness=failures), told, count=4))
    assert (told[-1], guard.put_back) == (PUT_BACK, 1)
    assert [text.partition(": ")[0] for text in told[:3]] == ["netfilter rules not looked at"] * 3


def test_what_is_whole_is_left_alone() -> None:
    rules, told = Rules(), list[str]()
    rules.is_there = True
    guard = asyncio.run(guard_until(rules, told, count=0))
    assert (told, guard.put_back, rules.looks) == ([], 0, 1)


@pytest.mark.privileged
def test_each_change_of_others_is_looked_at_once() -> None:
    rules = Rules()
    rules.is_there = True

    async def run(place: PacketPlace) -> list[int]:
        with entered(place.here):
            guard = NetfilterGuard(cast(Netfilter, rules), pytest.fail)
        guard.start()
        looks = [await count_looks(rules, 1)]
        for count in (2, 3):
            place.run("iptables", "-A", "OUTPUT")
            looks.append(await count_looks(rules, count))
        await guard.stop()
        return looks

    with PacketPlace() as place:
        assert asyncio.run(run(place)) == [1, 2, 3]


async def count_looks(rules: Rules, count: int) -> int:
    """The number of looks after at least `count`, and after some time for more."""
    await until(lambda: rules.looks >= count)
    await asyncio.sleep(0.1)
    return rules.looks


class SlowRules(Rules):
    """A look at these rules lasts until the test ends it."""

    def __init__(self, *blindness: Exception) -> None:
        super().__init__(blindness=blindness)
        self._is_looked_at, self._may_end = threading.Event(), threading.Event()

    def is_whole(self) -> bool:
        self._is_looked_at.set()
        self._may_end.wait(60)
        return super().is_whole()

    async def stop_amid_look(self, guard: NetfilterGuard) -> None:
        guard.start()
        guard._take_news()
        await asyncio.to_thread(self._is_looked_at.wait, 60)
        asyncio.get_running_loop().call_later(0.05, self._may_end.set)
        await asyncio.wait_for(guard.stop(), 60)


def test_a_look_that_fails_while_we_stop_is_the_last() -> None:
    """The guard must end after it as after any look, or `stop` would wait for ever."""
    rules, told = SlowRules(SnitchError("iptables-save: killed")), list[str]()

    async def run() -> None:
        await rules.stop_amid_look(guard_of(rules, told))

    asyncio.run(run())
    assert told == []


def test_once_it_is_stopped_nothing_is_put_back() -> None:
    """Our rules are removed next. A look that is under way must not add them afterwards."""
    rules, told = SlowRules(), list[str]()

    async def run() -> None:
        guard = guard_of(rules, told)
        await rules.stop_amid_look(guard)
        assert rules.is_there
        rules.is_there = False
        guard._has_news.set()
        await asyncio.sleep(0.05)
        assert not rules.is_there

    asyncio.run(run())
    assert told == []
