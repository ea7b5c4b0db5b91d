"""When the Python of an installation counts as gone, and that people are told."""

import asyncio
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab import daemon as lab_daemon
from tests.lab.daemon import Daemon
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, wait_until
from tinysnitch.daemon.loop.file_guard import GONE, HINT, InterpreterWatch


@pytest.fixture(name="python")
def _python(tmp_path: Path) -> Path:
    """A Python as `python3 -m venv` makes it: a link to the machine's."""
    (tmp_path / "python3.13").write_text("a build")
    (tmp_path / "python").symlink_to("python3.13")
    return tmp_path / "python"


def remove(python: Path) -> None:
    python.resolve().unlink()


def turn(python: Path) -> None:
    (python.parent / "python3.14").write_text("another one")
    (python.parent / "next").symlink_to("python3.14")
    (python.parent / "next").rename(python)


def rebuild(python: Path) -> None:
    """Install a new build of the same version as dpkg(1) does."""
    (python.parent / "next").write_text("another build")
    (python.parent / "next").rename(python.resolve())


@pytest.mark.parametrize(("deed", "is_gone"), [(remove, True), (turn, True), (rebuild, False)])
def test_what_the_machine_may_do_to_it(python: Path, deed: Callable[[Path], None], is_gone: bool) -> None:
    told: list[None] = []
    looks = asyncio.Queue[bool]()

    class Watched(InterpreterWatch):
        def _look(self) -> None:
            super()._look()
            looks.put_nowait(self.is_gone)

    async def run() -> None:
        watch = Watched(str(python), lambda: told.append(None))
        watch.start()
        async with asyncio.timeout(WAIT_S):
            assert not await looks.get()
            deed(python)
            assert await looks.get() is is_gone
        watch.stop()

    asyncio.run(run())
    assert told == [None] * is_gone


def read_problem(daemon: Daemon) -> str:
    status = json.loads(daemon.cli("status", "--json").stdout)
    return str(status["cannot_restart"])


@pytest.mark.privileged
def test_the_daemon_tells(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test makes an installation of its own, and takes its Python away."""
    ours, place = Path(sys.prefix), lab.folder / "installation"
    (place / "bin").mkdir(parents=True)
    shutil.copy(ours / "pyvenv.cfg", place)
    (place / "lib").symlink_to(ours / "lib")
    (place / "bin/python").symlink_to(Path(sys.executable).resolve())
    script = (ours / "bin/tinysnitchd").read_text().partition("\n")[2]
    (place / "bin/tinysnitchd").write_text(f"#!{place}/bin/python\n{script}")
    (place / "bin/tinysnitchd").chmod(0o755)
    monkeypatch.setattr(lab_daemon, "BIN", place / "bin")
    daemon = lab.start_daemon("")
    monkeypatch.undo()
    assert read_problem(daemon) == ""
    (place / "bin/python").unlink()
    told = f"{GONE}; {HINT}"
    wait_until(lambda: read_problem(daemon) == told)
    assert f"{GONE} (hint: {HINT})" in daemon.describe()
