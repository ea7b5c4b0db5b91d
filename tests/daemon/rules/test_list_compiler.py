"""Long lists are compiled beside the loop by real processes, one at a time."""

import asyncio
import errno
import itertools
import os
import selectors
import sys
from pathlib import Path
from typing import Never

import pytest

from tests.daemon.loop.driver_place import until
from tinysnitch.daemon.rules.list_compiler import ListCompiler
from tinysnitch.store.compiled_list import map_compiled


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
