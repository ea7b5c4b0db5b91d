import asyncio
import os
import resource
import subprocess
from collections.abc import Iterator

import pytest

from tinysnitch.core.commands import WatchProcess
from tinysnitch.daemon import process_watch
from tinysnitch.daemon.process_watch import ProcessWatch
from tinysnitch.kernel.procfs import read_status

EXEC_ID = 77


def watch_of(child: subprocess.Popen[bytes], later_s: int = 0) -> WatchProcess:
    status = read_status(child.pid)
    assert status
    return WatchProcess(child.pid, status.started_ns + later_s * 10**9, EXEC_ID)


def run(child: subprocess.Popen[bytes], command: WatchProcess, *, is_ended_first: bool, ends: bool = True) -> list[int]:
    """What is reported of a child."""

    async def session() -> list[int]:
        reports: asyncio.Queue[int] = asyncio.Queue()
        watch = ProcessWatch(reports.put_nowait)
        if is_ended_first:
            end(child)
        watch.add(command)
        is_watched = not is_ended_first and ends
        assert watch.find_pid(EXEC_ID) == (child.pid if is_watched else None)
        assert watch.find_pid(EXEC_ID + 1) is None
        assert reports.empty()  # never from within the call
        if ends:
            end(child)
        found = [await asyncio.wait_for(reports.get(), 60)]
        await asyncio.sleep(0.01)
        assert reports.empty()  # nor twice
        assert watch.find_pid(EXEC_ID) is None
        assert watch.turned_away == (process_watch.MAX_WATCHED == 0)
        watch.close()
        return found

    return asyncio.run(session())


def end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as started:
        yield started
        started.kill()


@pytest.fixture(autouse=True)
def _no_descriptor_is_left() -> Iterator[None]:
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_end_of_a_process_is_reported(child: subprocess.Popen[bytes]) -> None:
    assert run(child, watch_of(child), is_ended_first=False) == [EXEC_ID]


def test_a_process_that_is_gone_already_is_reported(child: subprocess.Popen[bytes]) -> None:
    assert run(child, watch_of(child), is_ended_first=True) == [EXEC_ID]


def test_a_pid_that_is_anothers_now_is_reported_while_that_one_lives(child: subprocess.Popen[bytes]) -> None:
    assert run(child, watch_of(child, -5), is_ended_first=False, ends=False) == [EXEC_ID]
    assert child.poll() is None


def test_what_no_longer_fits_is_reported_as_ended(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_watch, "MAX_WATCHED", 0)
    assert run(child, watch_of(child), is_ended_first=False, ends=False) == [EXEC_ID]


def test_without_a_descriptor_for_it_the_rule_ends_and_is_counted(child: subprocess.Popen[bytes]) -> None:
    reports: list[int] = []
    command = watch_of(child)

    async def session() -> int:
        watch = ProcessWatch(reports.append)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
        watch.add(command)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await asyncio.sleep(0.01)
        return watch.turned_away

    assert asyncio.run(session()) == 1
    assert reports == [EXEC_ID]


def test_a_process_with_many_rules_takes_one_descriptor(child: subprocess.Popen[bytes]) -> None:
    """A browser that runs for months may be given more of them than processes can be waited for."""

    async def session() -> None:
        reports: asyncio.Queue[int] = asyncio.Queue()
        watch = ProcessWatch(reports.put_nowait)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(process_watch.MAX_WATCHED + 1):
            watch.add(watch_of(child))
        assert len(os.listdir("/proc/self/fd")) == before + 1
        end(child)
        assert await asyncio.wait_for(reports.get(), 60) == EXEC_ID
        assert reports.empty()
        assert watch.turned_away == 0

    asyncio.run(session())


def test_one_after_the_other() -> None:
    """They may have the same descriptor."""
    children = [subprocess.Popen(["sleep", "60"]) for _ in range(2)]

    async def session() -> None:
        reports: asyncio.Queue[int] = asyncio.Queue()
        watch = ProcessWatch(reports.put_nowait)
        for child in children:
            watch.add(watch_of(child))
            end(child)
            assert await asyncio.wait_for(reports.get(), 60) == EXEC_ID

    asyncio.run(session())


def test_closing_reports_nothing(child: subprocess.Popen[bytes]) -> None:
    reports: list[int] = []

    async def session() -> None:
        watch = ProcessWatch(reports.append)
        watch.add(watch_of(child))
        watch.close()
        end(child)
        await asyncio.sleep(0.01)

    asyncio.run(session())
    assert reports == []
