"""Runs the prompt's window as the user who called sudo. It ends with us; no shell is used.

By default it runs where `sudo -E tinysnitchd` is called on a desktop, and Qt is there; elsewhere people are told how to
be asked. `--prompt` insists on it: without a screen the daemon does not start. `--no-prompt` leaves it out.

The environment of the user's session is ours (`sudo -E`), or that of one of their processes. Only variables that name
the session are taken from it, and from ours the prompt's settings.
"""

import asyncio
import os
import pwd
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from shlex import quote

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.daemon.options import Options
from tinysnitch.kernel.system.resources import Limits, set_limits

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


END_S = 3.0  # after SIGTERM, before SIGKILL


def find_caller(environment: Mapping[str, str]) -> pwd.struct_passwd:
    """The user of the window: TINYSNITCH_PROMPT_USER (a name or uid), else the one who called sudo, else our own.

    Raises SnitchError when there is no such user.
    """
    said = environment.get("TINYSNITCH_PROMPT_USER") or environment.get("SUDO_UID") or str(os.getuid())
    try:
        return pwd.getpwuid(int(said)) if said.isascii() and said.isdigit() else pwd.getpwnam(said)
    except (KeyError, OverflowError):
        hint = "set TINYSNITCH_PROMPT_USER to the user of the desktop"
        raise SnitchError(f"there is no user {said!r} to show the prompt to", hint) from None


def find_window(options: Options, environment: Mapping[str, str]) -> "PromptProcess | None":
    """The window to start; None: there is none. Raises SnitchError where it is insisted on."""
    if options.has_prompt:
        return PromptProcess(options.socket, environment)
    is_on_desktop = "SUDO_UID" in environment and _has_screen(environment) and find_spec("PySide6") is not None
    if options.has_prompt is None and options.asks_people and is_on_desktop:
        with suppress(SnitchError):  # there is no such user
            return PromptProcess(options.socket, environment)
    return None


def how_to_be_asked(options: Options) -> str:
    place = "" if options.socket == Options().socket else f" --socket {quote(str(options.socket.absolute()))}"
    who = " or ".join(("root", *options.admins))
    return f"run `tinysnitch prompt{place}` in another terminal, as {who}"


class PromptProcess:
    """The window's process. Raises SnitchError when there is no such user, or no screen of theirs."""

    def __init__(self, socket: Path, environment: Mapping[str, str]) -> None:
        self.user = find_caller(environment)
        self._environment = session_environment(self.user, environment)
        self._command = [str(Path(sys.executable).parent / "tinysnitch-prompt"), "--socket", str(socket.absolute())]
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, limits: Limits) -> None:
        """Start it as the user, in a session of its own so that a Ctrl-C in our terminal does not reach it. Raises
        SnitchError."""
        user = self.user
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env=self._environment,
                cwd="/",
                user=user.pw_uid,
                group=user.pw_gid,
                extra_groups=os.getgrouplist(user.pw_name, user.pw_gid),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=lambda: set_limits(limits),
            )
        except OSError as error:
            hint = f"can {user.pw_name} read {Path(sys.prefix)}?"
            raise SnitchError(f"cannot start {self._command[0]}: {error.strerror}", hint) from error

    async def stop(self) -> None:
        """End it. Safe at any moment, even if it was never started or has ended by itself."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), END_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
