"""Which paths of rules are watched, and that links on their way are."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tinysnitch.daemon.rules import path_watch
from tinysnitch.daemon.rules.path_watch import PathWatch, Watch

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
