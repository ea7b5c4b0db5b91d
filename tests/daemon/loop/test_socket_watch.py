"""A control socket whose file is removed is made anew, and people are told."""

import asyncio
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.daemon import BIN
from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_until, wait_until
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.daemon.control.socket import ControlSocket
from tinysnitch.daemon.loop import file_guard as socket_watch
from tinysnitch.daemon.loop.file_guard import SocketWatch


def remove(path: Path) -> None:
    path.unlink()


def move(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def remove_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


@pytest.mark.parametrize("deed", [remove, move, remove_folder])
def test_it_is_there_again_each_time(
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


def test_what_cannot_be_made_is_told_once_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(socket_watch, "AGAIN_S", 0.01)
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
