"""A Python that is gone is told; a control socket whose file is removed is made anew, and that is told, too."""

import asyncio
import json
import logging
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab import daemon as lab_daemon
from tests.lab.daemon import BIN, Daemon
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_until, wait_until
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.daemon.control.socket import ControlSocket
from tinysnitch.daemon.loop import file_guard
from tinysnitch.daemon.loop.file_guard import GONE, HINT, InterpreterWatch, SocketWatch


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


def remove_file(path: Path) -> None:
    path.unlink()


def move_file(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def remove_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


@pytest.mark.parametrize("deed", [remove_file, move_file, remove_folder])
def test_a_socket_is_there_again_each_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, deed: Callable[[Path], None]
) -> None:
    place = ControlSocket(tmp_path / "folder" / "socket")
    made = asyncio.Queue[None]()

    async def make_anew() -> None:
        place.listen().close()
        made.put_nowait(None)

    async def run() -> None:
        watch = SocketWatch(place.path, make_anew)
        place.listen().close()
        watch.start()
        async with asyncio.timeout(WAIT_S):
            for count in range(1, 4):
                await asyncio.sleep(0.05)
                place.path.chmod(0o600)  # an administrator may
                await asyncio.sleep(0.05)
                assert made.empty()
                deed(place.path)
                await made.get()
                assert place.path.is_socket()
                assert caplog.messages == [f"{place.path} was taken away: made anew"] * count
        watch.stop()

    asyncio.run(run())
    caplog.clear()


def test_a_socket_that_cannot_be_made_is_told_once_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(file_guard, "AGAIN_S", 0.01)
    path, tries = tmp_path / "socket", list[None]()

    async def make_anew() -> None:
        tries.append(None)
        if len(tries) < 4:
            raise SnitchError("no room")
        path.touch()

    async def run() -> None:
        watch = SocketWatch(path, make_anew)
        watch.start()
        async with asyncio.timeout(WAIT_S):
            while not path.exists():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        watch.stop()

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    assert caplog.messages == [
        f"{path} was taken away, so no command reaches this daemon: no room",
        f"{path} was taken away: made anew",
    ]
    caplog.clear()


@pytest.mark.privileged
def test_commands_reach_the_daemon_again_and_who_is_in_stays(lab: Lab) -> None:
    daemon = lab.start_daemon("")
    follower = lab.spawn_outside([str(BIN / "tinysnitch"), "log", "--follow", "--socket", str(daemon.socket)])
    read_until(follower, lambda said: "rules 0 loaded" in said[-1])
    for _ in range(2):
        daemon.socket.unlink()
        wait_until(lambda: daemon.cli("status").returncode == 0)
    daemon.edit_rules("deny - - -\n")
    read_until(follower, lambda said: "rules 1 loaded" in said[-1])
    assert "was taken away: made anew" in daemon.describe()
    assert daemon.stop() == 0
    assert not daemon.socket.exists()
