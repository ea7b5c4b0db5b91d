import os
from pathlib import Path

import pytest

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.qt.single_instance import SingleInstance


def test_one_a_session(tmp_path: Path) -> None:
    session = {"XDG_RUNTIME_DIR": str(tmp_path), "DISPLAY": ":0"}
    first, second = SingleInstance(session), SingleInstance(session)
    other_screen = SingleInstance({**session, "WAYLAND_DISPLAY": "../wayland-1"})
    assert first.claim()
    assert not second.claim()
    assert other_screen.claim()
    first.release()
    assert second.claim()
    second.release()
    other_screen.release()
    assert {path.parent for path in tmp_path.rglob("*.lock")} == {tmp_path}


def test_a_folder_that_is_not_there_is_an_error_to_act_on(tmp_path: Path) -> None:
    with pytest.raises(SnitchError, match="cannot lock"):
        SingleInstance({"XDG_RUNTIME_DIR": str(tmp_path / "none")}).claim()


def test_a_lock_of_another_user_keeps_no_window_away_unsaid(tmp_path: Path) -> None:
    session = {"XDG_RUNTIME_DIR": str(tmp_path), "DISPLAY": ":0"}
    first, second = SingleInstance(session), SingleInstance(session)
    assert first.claim()
    (lock,) = tmp_path.iterdir()
    os.chown(lock, 1000, -1)
    with pytest.raises(SnitchError, match=r"cannot lock .*: it is another user's"):
        second.claim()
    first.release()
