"""From nothing to a firewall and back. The whole way, for real, is in tests/lab."""

import asyncio
import errno
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.lab.patience import PATIENCE
from tinysnitch.core.errors import SnitchError
from tinysnitch.daemon import lifecycle
from tinysnitch.daemon.lifecycle import begun, follow, is_done_before, read_extra_interpreters
from tinysnitch.store.file_watch import watch_file


@pytest.mark.parametrize(
    ("value", "names"), [("", ()), ("a", ("a",)), ("a /b/c", ("a", "/b/c")), (" a,,b ", ("a", "b"))]
)
def test_further_interpreters(value: str, names: tuple[str, ...]) -> None:
    assert read_extra_interpreters({"TINYSNITCH_TRIMS": value}) == names
    assert read_extra_interpreters({}) == ()


def test_work_that_is_begun_is_done_at_the_end() -> None:
    done: list[str] = []

    def fail() -> None:
        done.append("tried")
        raise SnitchError("not today")

    with begun(lambda: done.append("done")):
        pass
    with begun(fail):
        pass
    with pytest.raises(OSError, match="inside"), begun(lambda: done.append("done")):
        raise OSError("inside")
    assert done == ["done", "tried", "done"]


class Reader:
    """Counts how often it reads, and wakes whoever waits for that."""

    def __init__(self) -> None:
        self.count = 0
        self._has_read = asyncio.Event()

    def read(self) -> None:
        self.count += 1
        self._has_read.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
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
    monkeypatch.setattr(lifecycle, "WATCH_AGAIN_S", 0.001)

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
    monkeypatch.setattr(lifecycle, "WATCH_AGAIN_S", 0.001)

    def fail() -> None:
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


@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_start_ends_with_the_stop(is_stopped: bool) -> None:
    async def work() -> None:
        if is_stopped:
            await asyncio.Event().wait()

    async def run() -> bool:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.01, stop.set)
        return await is_done_before(work(), stop)

    assert asyncio.run(run()) is not is_stopped


def test_a_start_that_fails_says_so() -> None:
    async def fail() -> None:
        raise SnitchError("not today")

    async def run() -> None:
        await is_done_before(fail(), asyncio.Event())

    with pytest.raises(SnitchError, match="not today"):
        asyncio.run(run())


@pytest.mark.privileged
def test_a_start_that_waits_for_a_list_ends_by_sigterm_and_leaves_nothing(lab: Lab) -> None:
    (lab.folder / "lists").mkdir()
    (lab.folder / "lists" / "big").write_text("".join(f"host{number}.example.com\n" for number in range(1_000_000)))
    (lab.folder / "rules").write_text("deny @big - -\n")
    command = command_of(lab, "--rules", str(lab.folder / "rules"), "--lists", str(lab.folder / "lists"))
    daemon = lab.spawn_outside(command)
    while not (lab.folder / "state" / "lists").exists():
        time.sleep(0.01)
    daemon.terminate()
    said, _ = daemon.communicate(timeout=3 * PATIENCE)
    assert (daemon.returncode, said) == (0, "")
    assert "TINYSNITCH" not in lab.run_outside(["iptables-save"]).stdout


@pytest.mark.privileged
def test_a_rules_file_that_cannot_be_read_asks_about_everything_and_says_why(lab: Lab) -> None:
    daemon = lab.start_daemon("", "--rules", "/proc/self/mem")  # is there, and fails when it is read
    (told,) = daemon.records("rules")
    assert "Input/output error" in str(told["errors"])
    assert daemon.stop() == 0


@pytest.mark.privileged
def test_a_state_folder_that_is_a_file_is_an_error_for_people(lab: Lab) -> None:
    place = lab.folder / "file"
    place.touch()
    command = [str(Path(sys.executable).parent / "tinysnitchd"), "--rules", str(lab.folder / "r")]
    ended = lab.run_outside([*command, "--cgroup", str(lab.cgroup), "--state-dir", str(place)])
    assert ended.returncode == 1
    assert f"tinysnitch: error: {place}: File exists" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.privileged
def test_what_learns_does_not_start_without_its_rules(lab: Lab) -> None:
    """It would let through what the broken file denies."""
    rules = lab.folder / "broken"
    rules.write_text("deny shop.test - -\nbogus\n")
    command = [str(Path(sys.executable).parent / "tinysnitchd"), "--learn", "--rules", str(rules)]
    ended = lab.run_outside([*command, "--cgroup", str(lab.cgroup), "--state-dir", str(lab.folder / "state")])
    assert ended.returncode == 1
    assert f"tinysnitch: error: the rules file does not load: {rules}:2:1: " in ended.stderr
    assert "TINYSNITCH" not in lab.run_outside(["iptables-save"]).stdout


@pytest.mark.privileged
def test_a_mistyped_rules_file_makes_nothing(lab: Lab) -> None:
    rules = lab.folder / "nosuch" / "rules"
    ended = lab.run_outside(command_of(lab, "--rules", str(rules)))
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"tinysnitch: error: {rules} cannot be made: there is no folder")
    assert "tinysnitch: hint: " in ended.stderr
    assert not rules.parent.exists()


@pytest.mark.privileged
def test_it_says_that_it_made_a_starter_set_and_that_it_observes(lab: Lab) -> None:
    rules = lab.folder / "rules"
    for said in ([f"tinysnitch: {rules} was not there: made with a starter set of rules\n"], []):
        daemon = lab.spawn_outside(command_of(lab, "--learn", "--rules", str(rules)))
        assert daemon.stdout
        *before, ready = until_ready(daemon.stdout)
        assert before == said
        assert ready.endswith(", observing: what no rule decides is allowed and recorded\n")
        daemon.terminate()
        assert daemon.wait(timeout=20) == 0


def command_of(lab: Lab, *flags: str) -> list[str]:
    """tinysnitchd with its text log."""
    places = ["--cgroup", str(lab.cgroup), "--state-dir", str(lab.folder / "state"), "--socket", str(lab.folder / "s")]
    return [str(Path(sys.executable).parent / "tinysnitchd"), *places, *flags]


def until_ready(lines: Iterable[str]) -> Iterator[str]:
    """Up to the ready line."""
    for line in lines:
        yield line
        if " INFO ready" in line:
            return
