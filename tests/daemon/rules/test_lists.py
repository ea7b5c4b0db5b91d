"""Which state of a list is in force: that of the file, or what was read before."""

import asyncio
import errno
import itertools
import os
import selectors
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Never

import pytest

from tests.daemon.loop.driver_place import until
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.daemon.rules import lists as list_loader
from tinysnitch.daemon.rules.lists import AGAIN_S, SHORT_BYTES, ListCompiler, ListLoader
from tinysnitch.kernel.system import offload
from tinysnitch.store import compiled_list, file_stamp
from tinysnitch.store.compiled_list import CompiledList, compile_list, map_compiled, save_compiled

LONG = "ads.test\n".ljust(SHORT_BYTES + 1, "\n")


class SlowCompiler:
    """A compiler that compiles when the test says so."""

    def __init__(self) -> None:
        self.begun: list[tuple[Path, Path, Callable[[str], None]]] = []

    def begin(self, source: Path, target: Path, done: Callable[[str], None]) -> None:
        self.begun.append((source, target, done))

    def finish(self) -> None:
        source, target, done = self.begun.pop()
        save_compiled(compile_list(source), target)
        done("")

    def fail(self) -> None:
        _source, _target, done = self.begun.pop()
        done("no room")


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder, self.cache = folder / "lists", folder / "cache"
        self.folder.mkdir(exist_ok=True)
        self.compiler = SlowCompiler()
        self.tries_after_s: list[float] = []
        later = self.tries_after_s.append
        self.loader = ListLoader(self.folder, self.cache, self.compiler, self.changed, failed=later)

    def changed(self) -> None:
        self.loader.refresh()

    def write(self, text: str, name: str = "ads") -> None:
        (self.folder / name).write_text(text)
        self.loader.refresh()

    def has(self, remote: str) -> bool | None:
        compiled = self.loader.find("ads")
        return compiled and compiled.remotes.has_name(remote)

    def has_begun(self) -> bool:
        """Whether there is something to compile."""
        self.loader.refresh()
        return bool(self.compiler.begun)

    @property
    def problem(self) -> str:
        return self.loader.held()["ads"].problem


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file counts as settled at once."""
    monkeypatch.setattr(file_stamp, "SETTLE_NS", -(10**18))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_where_no_folder_is_there_are_no_lists_and_nothing_is_tried_again(place: Place) -> None:
    place.write("ads.test\n")
    (place.folder / "ads").unlink()
    place.folder.rmdir()
    place.loader.refresh()
    assert (place.loader.held(), place.tries_after_s) == ({}, [])


def test_a_short_list_is_there_at_once_and_is_not_read_again(place: Place) -> None:
    place.write("ads.test\n")
    found = place.loader.find("ads")
    assert place.has("ads.test")
    place.loader.refresh()
    assert place.loader.find("ads") is found
    place.write("more.test\n")
    assert place.has("more.test")
    (place.folder / "ads").unlink()
    place.loader.refresh()
    assert place.loader.find("ads") is None


def test_a_list_that_changed_a_moment_ago_is_read_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_stamp, "SETTLE_NS", 10**18)
    place.write("ads.test\n")
    found = place.loader.find("ads")
    place.loader.refresh()
    assert place.loader.find("ads") is not found


def test_a_folder_that_does_not_answer_leaves_what_was_read_and_keeps_rules_waiting(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user may hold its lock. Rules that deny a list wait for it: meanwhile they would deny nothing."""
    monkeypatch.setattr(offload, "PAUSE_S", 0.0)  # however long that took
    place.write("ads.test\n")
    over = threading.Event()
    with monkeypatch.context() as silent:
        silent.setattr(place.loader, "_find_names", over.wait)
        place.loader.refresh()
    assert (place.has("ads.test"), place.tries_after_s) == (True, [AGAIN_S])
    assert place.problem == f"{place.folder}: it does not answer"
    assert (place.loader.is_awaited(["ads"]), place.loader.is_awaited(["more"])) == (False, True)
    over.set()
    place.loader.try_again()
    assert (place.problem, place.loader.is_awaited(["more"])) == ("", False)


def test_a_long_list_comes_later(place: Place) -> None:
    place.write(LONG)
    assert place.loader.find("ads") is None
    assert place.loader.is_awaited(["ads", "none"])
    place.loader.refresh()
    assert len(place.compiler.begun) == 1
    place.compiler.finish()
    assert place.has("x.ads.test")
    assert not place.loader.is_awaited(["ads"])


def test_a_state_folder_that_was_removed_is_made_for_root_alone_again(tmp_path: Path) -> None:
    """Any user who may read a folder can hold its lock, and verdicts would wait for that."""
    (tmp_path / "ads").write_text(LONG)
    cache = tmp_path / "state" / "lists"
    ListLoader(tmp_path, cache, SlowCompiler()).refresh()
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (cache, cache.parent)] == [0o700, 0o700]


def test_the_old_list_holds_until_the_new_one_is_there(place: Place) -> None:
    place.write("old.test\n")
    place.write(LONG)
    assert place.has("old.test")
    assert not place.loader.is_awaited(["ads"])
    place.compiler.finish()
    assert place.has("ads.test")
    assert not place.has("old.test")


def test_what_changes_while_it_is_read_is_read_again(place: Place) -> None:
    place.write(LONG)
    source, target, done = place.compiler.begun.pop()
    save_compiled(compile_list(source), target)
    place.write(LONG + "more.test\n")
    assert not place.compiler.begun
    done("")
    assert place.has("ads.test")
    assert not place.has("more.test")
    place.compiler.finish()
    assert place.has("more.test")
    assert not place.compiler.begun


def test_the_next_daemon_only_maps_what_is_unchanged(place: Place, tmp_path: Path) -> None:
    place.write(LONG)
    place.compiler.finish()
    later = Place(tmp_path)
    later.loader.refresh()
    assert later.has("ads.test")
    assert not later.compiler.begun
    os.utime(later.folder / "ads", ns=(1, 1))
    later.loader.refresh()
    assert len(later.compiler.begun) == 1


def test_a_failure_keeps_what_there_is_and_is_not_tried_again_at_once(place: Place, tmp_path: Path) -> None:
    place.write(LONG)
    place.compiler.finish()
    place.write(LONG + "more.test\n")
    place.compiler.fail()
    assert (place.has("ads.test"), place.has("more.test"), place.problem) == (True, False, "no room")
    assert not place.compiler.begun
    later = Place(tmp_path)
    later.loader.refresh()
    assert later.loader.is_awaited(["ads"])
    later.compiler.fail()
    assert (later.has("ads.test"), later.problem) == (True, "no room")
    assert not later.loader.is_awaited(["ads"])


def test_a_failure_does_not_bring_back_what_was_compiled_before_it(place: Place) -> None:
    place.write(LONG)
    place.compiler.finish()
    place.write("tracker.test\n")  # read at once; what was compiled stays in the cache
    place.write(f"{LONG}more.test\n")
    place.compiler.fail()
    assert (place.has("tracker.test"), place.has("ads.test")) == (True, False)


def test_a_long_list_that_failed_is_tried_again_later(place: Place) -> None:
    """If processes or room were short, no change of the file would tell that this is over."""
    place.write(LONG)
    place.compiler.fail()
    assert place.tries_after_s == [AGAIN_S]
    place.loader.try_again()
    place.loader.try_again()
    assert len(place.compiler.begun) == 1
    place.compiler.finish()
    assert (place.has("ads.test"), place.problem) == (True, "")
    place.loader.try_again()
    assert not place.compiler.begun


def test_a_long_list_that_cannot_be_mapped_is_not_taken_for_absent(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A descriptor may be missing just then. If nothing was told and tried again, `deny @LIST` would deny nothing."""
    place.write(LONG)
    with monkeypatch.context() as patched:
        patched.setattr(list_loader, "map_compiled", lambda _path: None)
        place.compiler.finish()
    assert place.has("ads.test") is None
    assert "cannot be read" in place.problem
    assert place.tries_after_s == [AGAIN_S]
    place.loader.try_again()
    assert (place.has("ads.test"), place.problem) == (True, "")


def test_a_short_list_that_failed_is_tried_again_later(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> CompiledList:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patched:
        patched.setattr(list_loader, "compile_list", refuse)
        place.write("ads.test\n")
    assert (place.problem, place.tries_after_s) == ("Too many open files", [AGAIN_S])
    place.loader.try_again()
    assert (place.has("ads.test"), place.problem) == (True, "")


def test_a_folder_that_cannot_be_read_now_leaves_what_was_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_path: Path) -> None:
        raise OSError(errno.ENFILE, os.strerror(errno.ENFILE))

    place.write(LONG)
    place.compiler.finish()
    with monkeypatch.context() as broken:
        broken.setattr(Path, "iterdir", fail)
        place.loader.refresh()
        assert place.has("ads.test")
        assert os.strerror(errno.ENFILE) in place.problem
        assert place.tries_after_s == [AGAIN_S]
    assert list(place.cache.iterdir())  # nor is it compiled anew
    place.loader.try_again()
    assert not place.problem
    assert place.has("ads.test")


def test_a_list_that_failed_and_was_never_there_is_not_awaited(place: Place) -> None:
    place.write(LONG)
    place.compiler.fail()
    assert not place.loader.is_awaited(["ads"])
    assert place.loader.find("ads") is None


def test_only_files_that_a_rule_can_name_are_lists(place: Place) -> None:
    place.write("ads.test\n", ".ads.swp")
    place.write("ads.test\n", "two words")
    (place.folder / "folder").mkdir()
    os.mkfifo(place.folder / "fifo")
    (place.folder / "link").symlink_to(place.folder / "none")
    place.loader.refresh()
    assert place.loader.held() == {}


def test_too_long_a_list_is_not_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_loader, "MAX_BYTES", 2 << 20)
    with (place.folder / "ads").open("w") as file:
        file.truncate((2 << 20) + 1)
    place.loader.refresh()
    assert (place.problem, place.compiler.begun) == ("larger than 2 MB", [])


def test_the_cache_holds_only_what_is_used(place: Place) -> None:
    place.write(LONG)
    place.compiler.finish()
    place.write(LONG, "other")
    (place.cache / ".other.1").write_text("being written")
    (place.folder / "ads").unlink()
    place.loader.refresh()
    assert [path.name for path in place.cache.iterdir()] == [".other.1"]
    place.compiler.fail()
    place.loader.refresh()
    assert list(place.cache.iterdir()) == []


def test_the_cache_is_not_the_folder_of_the_lists_itself(tmp_path: Path) -> None:
    """The compiled lists would replace their sources, and make no sense when they are read as lists."""
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(SnitchError, match="keeps compiled lists"):
        ListLoader(tmp_path / "lists", tmp_path / "link" / "lists", SlowCompiler())


def test_a_cache_that_cannot_be_made(place: Place) -> None:
    place.cache.write_text("")
    place.write(LONG)
    assert place.problem == f"{place.cache}: File exists"


def test_what_another_build_compiled_is_compiled_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have understood other lines of the same file."""
    place = Place(tmp_path)
    place.write(LONG)
    place.compiler.finish()
    assert Place(tmp_path).has_begun() is False
    monkeypatch.setattr(compiled_list, "sum_of_reader", lambda: 7)
    later = Place(tmp_path)
    assert later.has_begun() is True
    later.compiler.finish()
    assert Place(tmp_path).has_begun() is False


async def compile_all(compiler: ListCompiler, *paths: Path) -> list[str]:
    """Compile lists; the problem of each, or "", in the order in which they were done."""
    said: list[str] = []
    is_done = asyncio.Event()
    for path in paths:
        compiler.begin(path, path.with_name(f"{path.name}.out"), lambda problem: (said.append(problem), is_done.set()))
    async with asyncio.timeout(60):
        while len(said) < len(paths):
            await is_done.wait()
            is_done.clear()
    await compiler.close()
    return said


def test_lists_are_compiled(tmp_path: Path) -> None:
    paths = [tmp_path / "one", tmp_path / "two"]
    for path in paths:
        path.write_text(f"{path.name}.test\n")
    assert asyncio.run(compile_all(ListCompiler(), *paths)) == ["", ""]
    found = map_compiled(tmp_path / "two.out")
    assert found is not None
    assert found.remotes.has_name("two.test")


def test_a_problem_is_told(tmp_path: Path) -> None:
    said = asyncio.run(compile_all(ListCompiler(), tmp_path / "none"))
    assert said == [f"{tmp_path / 'none'}: No such file or directory"]


def test_whatever_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Rules that name the list wait until `done` is called."""

    async def fail(*_command: object, **_how: object) -> Never:
        raise ValueError("not foreseen")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", fail)
    said = asyncio.run(compile_all(ListCompiler(), tmp_path / "ads"))
    assert said == [f"{tmp_path / 'ads'}: reading it failed: not foreseen"]
    assert "ValueError" in caplog.text


def test_want_of_memory_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = tmp_path / "python"
    killed.write_text("#!/bin/sh\nkill -KILL $$\n")
    killed.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(killed))
    (said,) = asyncio.run(compile_all(ListCompiler(), tmp_path / "ads"))
    assert said == f"{tmp_path / 'ads'}: its reader was killed, for want of memory perhaps"


def test_where_the_loop_can_watch_no_more_nobody_waits_for_what_it_will_not_hear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """epoll_ctl(2): fs.epoll.max_user_watches. After that of the process's end all further watches are refused."""
    register, numbers = selectors.EpollSelector.register, itertools.count()

    def refuse(self: selectors.EpollSelector, file: int, events: int, data: object = None) -> selectors.SelectorKey:
        if next(numbers):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return register(self, file, events, data)

    async def run() -> list[str]:
        monkeypatch.setattr(selectors.EpollSelector, "register", refuse)
        return await compile_all(ListCompiler(limit_s=20), tmp_path / "ads")

    (tmp_path / "ads").write_text("ads.test\n")
    assert asyncio.run(run()) == [""]


def test_who_says_nothing_or_cannot_be_started_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for program, told in (
        ("/bin/false", f"{tmp_path}/ads: reading it failed"),
        ("/none", "cannot start /none: No such"),
    ):
        monkeypatch.setattr(sys, "executable", program)
        (said,) = asyncio.run(compile_all(ListCompiler(), tmp_path / "ads"))
        assert said.startswith(told)


def test_nothing_takes_longer_than_the_limit(tmp_path: Path) -> None:
    (tmp_path / "ads").write_text("ads.test\n")
    assert asyncio.run(compile_all(ListCompiler(limit_s=0.0), tmp_path / "ads")) == [
        f"{tmp_path / 'ads'}: not read within 0 s"
    ]
    assert not (tmp_path / "ads.out").exists()


def test_closing_ends_what_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = tmp_path / "endless"
    endless.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 1000\n")
    endless.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(endless))

    async def run() -> None:
        compiler = ListCompiler()
        compiler.begin(tmp_path / "ads", tmp_path / "out", lambda problem: None)
        await until(lambda: is_written(tmp_path / "pid"))
        pid = int((tmp_path / "pid").read_text())
        assert os.getsid(pid) == pid  # a Ctrl-C in our terminal does not reach it
        async with asyncio.timeout(60):
            await compiler.close()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    asyncio.run(run())


def is_written(path: Path) -> bool:
    return path.exists() and path.read_text().endswith("\n")
