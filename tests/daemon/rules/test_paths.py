"""Where the paths in rules lead while some of them cannot be looked up."""

import asyncio
import itertools
import os
import time
import timeit
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Event

import pytest

from tinysnitch.core.policy.references import mentions_of
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.daemon.rules import paths as path_facts
from tinysnitch.daemon.rules import paths as path_watch
from tinysnitch.daemon.rules.paths import MAX_SILENT, MAX_WATCHED, PathFacts, PathWatch, Watch
from tinysnitch.kernel.system.offload import MAX_THREADS, Offload
from tinysnitch.store.rule_paths import FindTarget, resolve_path

TARGET = "/usr/bin/env"


class Place:
    """A folder of links. Those called `silent...` do not answer until `answers` is set."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self.answers = Event()
        self.answers.set()
        self.followed: list[str] = []
        self.is_due = asyncio.Event()
        monkeypatch.setattr(path_facts, "resolve_path", self._resolve)
        self.begin_anew()

    def begin_anew(self) -> None:
        self.facts = PathFacts(self._follow, self.is_due.set)

    def _follow(self, paths: list[str]) -> None:
        self.followed = paths

    def _resolve(self, path: str, find_target: FindTarget) -> str:
        assert not path.rpartition("/")[2].startswith("silent") or self.answers.wait()
        return resolve_path(path, find_target)

    def link(self, name: str, target: str = TARGET) -> str:
        """A link that others than root can change."""
        path = self._folder / name
        path.symlink_to(target)
        if os.geteuid() == 0:
            os.chown(path, 1000, 1000, follow_symlinks=False)
        return str(path)

    def turn(self, gone: str, turned: str) -> None:
        for name in (gone, turned):
            (self._folder / name).unlink()
        self.link(turned, "/usr/bin/true")

    def read(self, *programs: str) -> path_facts.Ways:
        rules = [parse_rule(f"allow user=1 - - - {program}") for program in programs]
        return self.facts.read(mentions_of(rules))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


def test_what_is_silent_leads_where_it_did(place: Place) -> None:
    silent, folder, other = place.link("silent"), place.link("silent_folder", "/usr/bin"), place.link("other")

    async def run() -> None:
        before = place.read(silent, f"{folder}/*")
        assert (before.links, before.patterns) == ({silent: TARGET}, {f"{folder}/*": "/usr/bin/*"})
        assert (before.turnable_links, before.turnable_patterns) == ({silent}, {f"{folder}/*"})
        place.answers.clear()
        after = place.read(silent, f"{folder}/*", other)
        place.facts.cancel()
        assert after.links == {silent: TARGET, other: TARGET}
        assert after.patterns == before.patterns
        assert after.turnable_links == {silent, other}
        assert after.turnable_patterns == before.turnable_patterns
        assert place.followed == [other]
        assert [problem.split(",")[0] for problem in place.facts.problems()] == [silent, folder]

    asyncio.run(run())
    place.answers.set()


def test_what_is_silent_is_tried_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_facts, "AGAIN_S", 0.0)
    silent = place.link("silent")

    async def run() -> None:
        place.answers.clear()
        assert place.read(silent).links == {}
        place.answers.set()
        while place.read(silent).links != {silent: TARGET}:  # once the thread that waits there has gone on
            await place.is_due.wait()
            place.is_due.clear()
        assert list(place.facts.problems()) == []

    asyncio.run(run())


def test_not_all_that_is_silent_is_waited_for(place: Place) -> None:
    def paths(first: int) -> Sequence[str]:
        return [f"/silent{number:02}" for number in range(first, MAX_SILENT + 20)]

    async def run() -> None:
        place.answers.clear()
        place.read(*paths(0))
        assert [problem.split(",")[0] for problem in place.facts.problems()] == paths(0)
        place.read(*paths(10))
        place.facts.cancel()
        assert [problem.split(",")[0] for problem in place.facts.problems()] == paths(10)

    asyncio.run(run())
    place.answers.set()


def test_what_is_silent_for_hours_keeps_nothing_else_from_being_looked_up(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No further thread is sent there while the first one waits."""
    monkeypatch.setattr(path_facts, "AGAIN_S", 0.0)
    silent, other = place.link("silent"), place.link("other")
    minutes = itertools.count()
    monkeypatch.setattr(path_facts, "Offload", partial(Offload, clock=lambda: 60.0 * next(minutes)))
    place.begin_anew()

    async def run() -> None:
        place.answers.clear()
        for _ in range(MAX_THREADS + 1):
            place.read(silent)
            await place.is_due.wait()
            place.is_due.clear()
        assert place.read(silent, other).links == {other: TARGET}
        place.answers.set()
        place.facts.cancel()

    asyncio.run(run())


def test_only_the_first_are_watched(place: Place) -> None:
    many = [place.link(f"p{number:04}") for number in range(MAX_WATCHED + 10)]
    assert place.read(*many).links == dict.fromkeys(many, TARGET)
    assert place.followed == many[:MAX_WATCHED]


def test_all_are_looked_up_at_each_reading(place: Place) -> None:
    one, other = place.link("one"), place.link("other")
    assert place.read(one, other).links == {one: TARGET, other: TARGET}
    place.turn("one", "other")
    assert place.read(one, other).links == {other: "/usr/bin/true"}


def test_many_paths_hold_up_nobody() -> None:
    paths = [parse_rule(f"allow - - - /usr/bin/none{number}") for number in range(3000)]
    facts, mentions = PathFacts(lambda _paths: None, lambda: None), mentions_of(paths)
    assert timeit.timeit(lambda: facts.read(mentions), timer=time.process_time, number=1) < 0.1  # 0.02 s


TIMEOUT_S = 60


class Follower:
    """Notes the number of the watch at each item: one when it begins, then one for each change."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended = 0
        self.told = asyncio.Queue[int]()
        self.paths = PathWatch(self._follow)

    async def _follow(self, watch: Watch) -> None:
        self.begun += 1
        try:
            async for _ in watch():
                self.told.put_nowait(self.begun)
        finally:
            self.ended += 1


def turn(link: Path, target: str) -> None:
    link.with_name("next").symlink_to(target)
    link.with_name("next").rename(link)


def run(test: Callable[[Follower], Awaitable[None]]) -> None:
    async def with_follower() -> None:
        async with asyncio.timeout(TIMEOUT_S):
            follower = Follower()
            await test(follower)
            follower.paths.stop()
            await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)
            assert follower.ended == follower.begun

    asyncio.run(with_follower())


def test_a_link_that_is_turned_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_watch, "PAUSE_S", 0.01)
    one, other = tmp_path / "one", tmp_path / "other"
    one.symlink_to("a")
    other.symlink_to("a")

    async def test(follower: Follower) -> None:
        follower.paths.follow([str(one)])
        assert await follower.told.get() == 1
        turn(one, "b")
        assert await follower.told.get() == 1  # at once
        assert await follower.told.get() == 1  # after a pause
        turn(one, "c")
        assert await follower.told.get() == 1
        follower.told = asyncio.Queue()
        follower.paths.follow([str(other)])
        assert await follower.told.get() == 2
        turn(other, "b")
        assert await follower.told.get() == 2

    run(test)


def test_however_fast_a_link_is_turned_it_is_told_of_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "link"
    link.symlink_to("a")

    monkeypatch.setattr(path_watch, "PAUSE_S", 3600.0)

    async def test(follower: Follower) -> None:
        follower.paths.follow([str(link)])
        await follower.told.get()
        for number in range(100):
            turn(link, str(number))
            await asyncio.sleep(0)
        await follower.told.get()
        assert follower.told.empty()

    run(test)


def test_the_same_paths_are_not_followed_anew() -> None:
    async def test(follower: Follower) -> None:
        for paths in (["/a"], ["/a"], ["/a", "/b"]):
            follower.paths.follow(paths)
            await asyncio.sleep(0)
        assert follower.begun == 2
        follower.paths.follow([])
        await asyncio.sleep(0)
        assert (follower.begun, follower.ended) == (2, 2)

    run(test)
