"""Finds the environment of a user's session for the prompt's window: in ours (`sudo -E`), or in one of their processes.

Only variables that name the session are taken from it, and from ours the prompt's settings.
"""

import os
import pwd
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from tinysnitch.core.model.errors import SnitchError

PROC = Path("/proc")
RUNTIME = Path("/run/user")  # pam_systemd(8)
_SCREENS = ("WAYLAND_DISPLAY", "DISPLAY")
_DESKTOP = ("XDG_RUNTIME_DIR", "XDG_SESSION_TYPE", "XDG_CURRENT_DESKTOP", "DBUS_SESSION_BUS_ADDRESS")
_SESSION = {*_SCREENS, *_DESKTOP, "XAUTHORITY", "LANG", "LC_ALL"}
_SETTINGS = ("TINYSNITCH_FONTSIZE", "TINYSNITCH_DELAY_SECONDS", "QT_")


def session_environment(user: pwd.struct_passwd, environment: Mapping[str, str], proc: Path = PROC) -> dict[str, str]:
    """The environment for the window. Raises SnitchError when the user has no screen."""
    session = next((one for one in _sessions(user.pw_uid, environment, proc) if _has_screen(one)), None)
    if session is None:
        hint = "call it from the desktop as `sudo -E tinysnitchd --prompt`, or ask in a terminal: tinysnitch prompt"
        raise SnitchError(f"{user.pw_name} has no screen to show the prompt on", hint)
    kept = {name: value for name, value in session.items() if name in _SESSION}
    settings = {name: value for name, value in environment.items() if name.startswith(_SETTINGS)}
    if (folder := RUNTIME / str(user.pw_uid)).is_dir():
        kept.setdefault("XDG_RUNTIME_DIR", str(folder))
    if "DISPLAY" in kept:
        kept.setdefault("XAUTHORITY", f"{user.pw_dir}/.Xauthority")  # Xlib's own default (Xsecurity(7))
    person = {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name, "PATH": os.defpath}
    return {**settings, **kept, **person}


def _sessions(uid: int, environment: Mapping[str, str], proc: Path) -> Iterator[Mapping[str, str]]:
    """Environments that may name the screen: ours, then those of the user's processes by falling pid."""
    yield environment
    pids = sorted((int(entry.name) for entry in proc.iterdir() if entry.name.isdigit()), reverse=True)
    for pid in pids:
        with suppress(OSError):  # gone meanwhile
            if (proc / str(pid)).stat().st_uid == uid:
                yield _parse((proc / str(pid) / "environ").read_bytes())


def _parse(environ: bytes) -> dict[str, str]:
    """proc_pid_environ(5): entries with a zero byte after each."""
    pairs = (entry.partition(b"=") for entry in environ.split(b"\0"))
    return {os.fsdecode(name): os.fsdecode(value) for name, equals, value in pairs if equals}


def _has_screen(environment: Mapping[str, str]) -> bool:
    return any(environment.get(name) for name in _SCREENS)
