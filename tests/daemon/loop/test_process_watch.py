import asyncio
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.core.engine.transcript import flow_of, process_of, whose, yes
from tests.daemon.loop.driver_place import Place, until
from tests.lab.patience import WAIT_S
from tinysnitch.core.engine.events import AnswerGiven, PacketQueued
from tinysnitch.core.model.process import ProcessKey
from tinysnitch.core.prompts.choice import Lifetime
from tinysnitch.daemon.loop import process_watch
from tinysnitch.daemon.loop.process_watch import ProcessWatch
from tinysnitch.kernel.proc.procfs import read_stat


def key_of(child: subprocess.Popen[bytes], later_s: int = 0) -> ProcessKey:
    status = read_stat(child.pid)
    assert status
    return ProcessKey(child.pid, status.started_ns + later_s * 10**9)


def run(child: subprocess.Popen[bytes], process: ProcessKey, *, is_ended_first: bool, ends: bool = True) -> ProcessKey:
    """Watch a process. Returns what is reported; it must be one report, and not within `add`."""

    async def session() -> ProcessKey:
        reports: asyncio.Queue[ProcessKey] = asyncio.Queue()
        watch = ProcessWatch(reports.put_nowait)
        if is_ended_first:
            end(child)
        watch.add(process)
        assert reports.empty()  # never from within the call
        if ends:
            end(child)
        found = await asyncio.wait_for(reports.get(), 60)
        await asyncio.sleep(0.01)
        assert reports.empty()  # nor twice
        assert watch.turned_away == (process_watch.MAX_WATCHED == 0)
        watch.close()
        return found

    return asyncio.run(session())


def end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait(timeout=WAIT_S)


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
    process = key_of(child)
    assert run(child, process, is_ended_first=False) == process


def test_a_process_that_is_gone_already_is_reported(child: subprocess.Popen[bytes]) -> None:
    process = key_of(child)
    assert run(child, process, is_ended_first=True) == process


def test_a_pid_that_is_anothers_now_is_reported_while_that_one_lives(child: subprocess.Popen[bytes]) -> None:
    another = key_of(child, -5)
    assert run(child, another, is_ended_first=False, ends=False) == another
    assert child.poll() is None


def test_what_no_longer_fits_is_reported_as_ended(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_watch, "MAX_WATCHED", 0)
    process = key_of(child)
    assert run(child, process, is_ended_first=False, ends=False) == process


def test_without_a_descriptor_for_it_the_rule_ends_and_is_counted(child: subprocess.Popen[bytes]) -> None:
    reports: list[ProcessKey] = []
    process = key_of(child)

    async def session() -> int:
        watch = ProcessWatch(reports.append)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
        watch.add(process)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await asyncio.sleep(0.01)
        return watch.turned_away

    assert asyncio.run(session()) == 1
    assert reports == [process]


def test_what_cannot_be_waited_for_is_reported_as_ended(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A regular file stands for the case that epoll has no room: it refuses both."""
    reports: list[ProcessKey] = []
    process = key_of(child)
    monkeypatch.setattr(process_watch, "open_pidfd", lambda _pid, _started_ns: os.open(__file__, os.O_RDONLY))

    async def session() -> int:
        watch = ProcessWatch(reports.append)
        watch.add(process)
        await asyncio.sleep(0.01)
        watch.close()
        return watch.turned_away

    assert asyncio.run(session()) == 1
    assert reports == [process]


def test_a_process_with_many_rules_takes_one_descriptor(child: subprocess.Popen[bytes]) -> None:
    """A browser that runs for months may get more rules than there is room for processes."""

    async def session() -> None:
        reports: asyncio.Queue[ProcessKey] = asyncio.Queue()
        watch, process = ProcessWatch(reports.put_nowait), key_of(child)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(process_watch.MAX_WATCHED + 1):
            watch.add(process)
        assert len(os.listdir("/proc/self/fd")) == before + 1
        end(child)
        assert await asyncio.wait_for(reports.get(), 60) == process
        assert reports.empty()
        assert watch.turned_away == 0

    asyncio.run(session())


def test_one_after_the_other() -> None:
    """Two processes after each other may get the same descriptor."""
    children = [subprocess.Popen(["sleep", "60"]) for _ in range(2)]

    async def session() -> None:
        reports: asyncio.Queue[ProcessKey] = asyncio.Queue()
        watch = ProcessWatch(reports.put_nowait)
        for child in children:
            process = key_of(child)
            watch.add(process)
            end(child)
            assert await asyncio.wait_for(reports.get(), 60) == process

    asyncio.run(session())


def test_closing_reports_nothing(child: subprocess.Popen[bytes]) -> None:
    reports: list[ProcessKey] = []

    async def session() -> None:
        watch = ProcessWatch(reports.append)
        watch.add(key_of(child))
        watch.close()
        end(child)
        await asyncio.sleep(0.01)

    asyncio.run(session())
    assert reports == []


def test_the_end_of_a_process_ends_its_rules(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            gone = process_of(pid=2**22 + 1)  # above the largest pid: proc_pid_max(5)
            place.driver.feed(PacketQueued(1, flow_of(1), whose(pid=gone.pid)))
            place.driver.feed(AnswerGiven(1, yes(Lifetime.QUIT), 0))
            assert len(place.engine.rules) == 1
            await until(lambda: len(place.engine.rules) == 0)

    asyncio.run(run())
