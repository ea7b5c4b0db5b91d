import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from tinysnitch.daemon.scheduling import follow as follow_module
from tinysnitch.daemon.scheduling.follow import follow
from tinysnitch.store.file_watch import watch_file


class Reader:
    """Counts how often it is called, and wakes the test that waits for that."""

    def __init__(self) -> None:
        self.count = 0
        self._has_read = asyncio.Event()

    def read(self) -> None:
        self.count += 1
        self._has_read.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(60):
            while self.count < count:
                self._has_read.clear()
                await self._has_read.wait()


def test_a_file_is_read_at_once_and_on_every_change(tmp_path: Path) -> None:
    async def run() -> None:
        reader = Reader()
        task = asyncio.create_task(follow(partial(watch_file, tmp_path / "rules"), reader.read))
        await reader.until(1)
        (tmp_path / "rules").write_text("x")
        await reader.until(2)
        task.cancel()

    asyncio.run(run())


def test_a_failure_is_not_the_end_of_following(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(follow_module, "WATCH_AGAIN_S", 0.001)

    async def run() -> None:
        reader = Reader()

        def read() -> None:
            reader.read()
            if reader.count < 3:
                raise RuntimeError("no thread")

        task = asyncio.create_task(follow(partial(watch_file, tmp_path / "rules"), read))
        await reader.until(3)
        task.cancel()

    asyncio.run(run())
    assert [record.message for record in caplog.records] == ["failed, and is tried again: following a file"] * 2


def test_a_file_that_cannot_be_watched_is_read_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_module, "WATCH_AGAIN_S", 0.001)

    def fail(**_options: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    async def run() -> None:
        reader = Reader()
        with monkeypatch.context() as limited:
            limited.setattr("tinysnitch.store.file_watch.Inotify", fail)
            task = asyncio.create_task(follow(partial(watch_file, tmp_path / "rules"), reader.read))
            await reader.until(3)
        await reader.until(reader.count + 1)  # now it is watched
        (tmp_path / "rules").write_text("x")
        await reader.until(reader.count + 1)
        task.cancel()

    asyncio.run(run())


async def never_rests() -> AsyncIterator[None]:
    for _ in range(1000):
        yield
    await asyncio.Event().wait()


def test_a_change_does_not_wait_for_as_long_as_we_had_no_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_slowly(read: Callable[[], None]) -> float:
        read()
        return 3600.0

    monkeypatch.setattr(follow_module, "_time_of", read_slowly)
    monkeypatch.setattr(follow_module, "LONGEST_PAUSE_S", 0.001)

    async def run() -> None:
        reader = Reader()
        task = asyncio.create_task(follow(never_rests, reader.read))
        await reader.until(3)
        task.cancel()

    asyncio.run(run())


def test_a_file_that_never_rests_leaves_time_for_the_rest() -> None:
    """To read many rules takes a second; verdicts must be given between two readings."""

    async def run() -> None:
        reader = Reader()
        task = asyncio.create_task(follow(never_rests, reader.read))
        await reader.until(3)
        assert reader.count < 1000
        task.cancel()

    asyncio.run(run())
