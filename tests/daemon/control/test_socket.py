import os
import shutil
import socket
import stat
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.daemon.control.socket import ControlSocket


def test_everyone_may_knock(tmp_path: Path) -> None:
    path = tmp_path / "run" / "socket"
    control = ControlSocket(path)
    with control.listen():
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
    control.remove()
    assert not path.parent.exists()


def test_folders_above_it_are_made_and_go_likewise(tmp_path: Path) -> None:
    control = ControlSocket(tmp_path / "a" / "b" / "socket")
    mask = os.umask(0o077)
    try:
        control.listen().close()
    finally:
        os.umask(mask)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a", tmp_path / "a" / "b")} == {0o755}
    control.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    control = ControlSocket(tmp_path / "socket")
    control.listen().close()
    control.remove()
    control.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_made_goes_also_when_the_socket_went_first(tmp_path: Path) -> None:
    """Since Python 3.13 Server.close() removes it."""
    control = ControlSocket(tmp_path / "run" / "socket")
    control.listen().close()
    control.path.unlink()
    control.remove()
    assert list(tmp_path.iterdir()) == []


def test_all_folders_that_were_made_go_also_when_one_was_made_anew(tmp_path: Path) -> None:
    control = ControlSocket(tmp_path / "a" / "b" / "socket")
    for _ in range(2):
        control.listen().close()
        shutil.rmtree(tmp_path / "a" / "b")
    control.listen().close()
    control.remove()
    assert list(tmp_path.iterdir()) == []


def test_files_of_others_keep_the_folder(tmp_path: Path) -> None:
    control = ControlSocket(tmp_path / "run" / "socket")
    control.listen().close()
    (tmp_path / "run" / "mine").touch()
    control.remove()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine"]


def test_the_socket_of_a_dead_daemon_is_replaced(tmp_path: Path) -> None:
    ControlSocket(tmp_path / "socket").listen().close()
    with ControlSocket(tmp_path / "socket").listen(), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "socket"))


def test_a_living_one_is_refused_and_kept(tmp_path: Path) -> None:
    second = ControlSocket(tmp_path / "socket")
    with ControlSocket(tmp_path / "socket").listen(), pytest.raises(SnitchError, match="another") as refused:
        second.listen()
    assert refused.value.hint
    second.remove()
    assert (tmp_path / "socket").exists()


def test_a_living_one_that_is_too_busy_to_answer_is_refused_and_kept(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy, ExitStack() as waiting:
        busy.bind(str(tmp_path / "socket"))
        busy.listen(0)
        with suppress(BlockingIOError):
            while True:
                client = waiting.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(str(tmp_path / "socket"))
        with pytest.raises(SnitchError, match="another"):
            ControlSocket(tmp_path / "socket").listen()
        assert (tmp_path / "socket").exists()


def test_a_file_that_is_no_socket_is_kept(tmp_path: Path) -> None:
    (tmp_path / "socket").write_text("mine")
    with pytest.raises(SnitchError, match="no socket"):
        ControlSocket(tmp_path / "socket").listen()
    assert (tmp_path / "socket").read_text() == "mine"


def test_a_successor_keeps_its_socket(tmp_path: Path) -> None:
    first, second = ControlSocket(tmp_path / "socket"), ControlSocket(tmp_path / "socket")
    first.listen().close()
    with second.listen():
        first.remove()
        assert (tmp_path / "socket").exists()


def test_a_path_that_is_too_long_is_an_error_for_people(tmp_path: Path) -> None:
    with pytest.raises(SnitchError, match="control socket") as refused:
        ControlSocket(tmp_path / "run" / ("x" * 120)).listen()
    assert "107" in refused.value.hint
    assert os.listdir(tmp_path) == []
