"""The socket file: made for one daemon, taken over from a dead one, never from a living one."""

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from tinysnitch.core.errors import SnitchError, hint_for

_FOLDER_MODE = 0o755
_SOCKET_MODE = 0o666  # anyone may knock; who may enter is decided by SO_PEERCRED, and said plainly
BACKLOG = 128


class ControlSocket:
    """A listening Unix socket and the undo of all that making it left on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._made_folders: list[Path] = []  # the innermost last
        self._mark: tuple[int, int] | None = None  # tells our socket file from a successor's

    def listen(self) -> socket.socket:
        """Raises SnitchError, also when a living daemon has the place."""
        try:
            self._make_folder()
            self._clear_stale()
            return self._bind()
        except OSError as error:
            hint = hint_for(error, "name another place with --socket PATH (at most 107 bytes), or run as root")
            raise SnitchError(f"cannot make the control socket {self.path}: {error.strerror or error}", hint) from error

    def remove(self) -> None:
        """Safe at any moment: only what this object made goes away."""
        with suppress(OSError):  # gone already: from Python 3.13 on Server.close() takes it away
            if self._mark is not None and _mark_of(self.path) == self._mark:
                os.unlink(self.path)
        with suppress(OSError):  # somebody keeps files of their own there
            for folder in reversed(self._made_folders):
                os.rmdir(folder)
        self._mark = None
        self._made_folders.clear()

    def _make_folder(self) -> None:
        """And those above it: whoever may knock must come through all of them, whatever the umask is."""
        for folder in reversed([folder for folder in self.path.parents if not folder.exists()]):
            folder.mkdir()
            self._made_folders.append(folder)
            folder.chmod(_FOLDER_MODE)

    def _clear_stale(self) -> None:
        if not self.path.exists():
            return
        if not stat.S_ISSOCK(self.path.lstat().st_mode):
            raise SnitchError(f"{self.path} is there and is no socket", "name another place with --socket PATH")
        if _is_alive(self.path):
            hint = "stop it first, or give this one its own place with --socket PATH"
            raise SnitchError(f"another tinysnitchd listens on {self.path}", hint)
        self.path.unlink()

    def _bind(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            sock.bind(os.fspath(self.path))
            self._mark = _mark_of(self.path)
            self.path.chmod(_SOCKET_MODE)
            self._mark = _mark_of(self.path)  # the change of mode counts as one
            sock.listen(BACKLOG)
        except BaseException:
            sock.close()
            self.remove()
            raise
        return sock


def _mark_of(path: Path) -> tuple[int, int]:
    """Inode numbers are used again; together with the time of the last change they are not."""
    found = path.lstat()
    return found.st_ino, found.st_ctime_ns


def _is_alive(path: Path) -> bool:
    """A socket whose daemon is dead refuses; a full backlog (EAGAIN) belongs to a living one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            return False
        except BlockingIOError:
            return True
    return True
