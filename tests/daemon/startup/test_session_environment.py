import os
import pwd
from pathlib import Path

import pytest

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.daemon.startup.session_environment import session_environment

NOBODY = 65534
ME = pwd.getpwuid(os.getuid())
SCREEN = {"DISPLAY": ":7", "SECRET": "x", "TINYSNITCH_FONTSIZE": "20", "LD_PRELOAD": "/tmp/x.so"}


def test_only_what_names_the_session_is_passed_on(tmp_path: Path) -> None:
    told = session_environment(ME, SCREEN, tmp_path)
    assert told.items() >= {"DISPLAY": ":7", "TINYSNITCH_FONTSIZE": "20", "HOME": ME.pw_dir, "USER": ME.pw_name}.items()
    assert told["XAUTHORITY"] == f"{ME.pw_dir}/.Xauthority"
    assert not told.keys() & {"SECRET", "LD_PRELOAD"}


def test_all_that_names_the_session_is_passed_on(tmp_path: Path) -> None:
    of_session = ("WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "XDG_SESSION_TYPE", "XDG_CURRENT_DESKTOP")
    given = dict.fromkeys((*of_session, "DBUS_SESSION_BUS_ADDRESS", "LANG", "LC_ALL"), "x")
    given |= {"TINYSNITCH_DELAY_SECONDS": "2", "QT_SCALE_FACTOR": "2"}
    assert session_environment(ME, given, tmp_path).items() >= given.items()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_no_screen_is_taken_from_a_process_of_another_user(tmp_path: Path) -> None:
    (tmp_path / "20").mkdir()
    (tmp_path / "20" / "environ").write_bytes(b"DISPLAY=:3\0")
    os.chown(tmp_path / "20", NOBODY, NOBODY)
    with pytest.raises(SnitchError, match="no screen"):
        session_environment(ME, {}, tmp_path)


def test_the_screen_is_found_at_a_process_of_the_user(tmp_path: Path) -> None:
    for pid, environ in (
        (1, b"A=b\0DISPLAY=:3\0"),
        (20, b"WAYLAND_DISPLAY=wayland-0\0LD_PRELOAD=x\0junk\0"),
        (30, b""),
    ):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "environ").write_bytes(environ)
    for name in ("40", "self"):  # one is gone meanwhile, the other is no process
        (tmp_path / name).mkdir()
    told = session_environment(ME, {}, tmp_path)
    assert told["WAYLAND_DISPLAY"] == "wayland-0"
    assert "LD_PRELOAD" not in told


def test_the_folder_of_the_session_is_named_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without systemd-logind or elogind there is none, and the window would not start if it were named."""
    monkeypatch.setattr("tinysnitch.daemon.startup.session_environment.RUNTIME", tmp_path)
    assert "XDG_RUNTIME_DIR" not in session_environment(ME, SCREEN)
    (folder := tmp_path / str(ME.pw_uid)).mkdir()
    assert session_environment(ME, SCREEN)["XDG_RUNTIME_DIR"] == str(folder)
    assert session_environment(ME, {**SCREEN, "XDG_RUNTIME_DIR": "/x"})["XDG_RUNTIME_DIR"] == "/x"


def test_no_screen_is_an_error_to_act_on(tmp_path: Path) -> None:
    with pytest.raises(SnitchError, match="no screen"):
        session_environment(ME, {}, tmp_path)
