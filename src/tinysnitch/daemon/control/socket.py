"""The file of the control socket: a dead daemon's is replaced, a living one's never."""

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from tinysnitch.core.model.errors import SnitchError, hint_for

_FOLDER_MODE = 0o755
_SOCKET_MODE = 0o666  # any user may connect; SO_PEERCRED decides who may stay, and the others are told why not
BACKLOG = 128


class ControlSocket:
    """Makes a listening Unix socket, and removes what that left on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._made_folders: list[Path] = []  # the innermost last
        self._mark: tuple[int, int] | None = None  # of our socket file: tells it from one of another daemon

    def listen(self) -> socket.socket:
        """Make the file and listen. Raises SnitchError, also when a living daemon listens there."""
        try:
            self._make_folder()
            self._clear_stale()
            return self._bind()
        except OSError as error:
            raise self.error_of(error) from error

    def error_of(self, error: OSError) -> SnitchError:
        """The error for people when the socket could not be made."""
        hint = hint_for(error, "name another place with --socket PATH (at most 107 bytes), or run as root")
        return SnitchError(f"cannot make the control socket {self.path}: {error.strerror or error}", hint)

    def remove(self) -> None:
        """Remove the file and the folders that this object made, and nothing else. Safe at any moment."""
        with suppress(OSError):  # it is gone: since Python 3.13 Server.close() removes it
            if self._mark is not None and _mark_of(self.path) == self._mark:
                os.unlink(self.path)
        for folder in reversed(self._made_folders):
            with suppress(OSError):  # others keep files there, or it was removed and made once more
                os.rmdir(folder)
        self._mark = None
        self._made_folders.clear()

    def _make_folder(self) -> None:
        """Make the folder and those above it. The umask does not matter: all users must be able to pass through."""
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
            self._mark = _mark_of(self.path)  # the change of mode changed the ctime
            sock.listen(BACKLOG)
        except BaseException:
            sock.close()
            self.remove()
            raise
        return sock


def _mark_of(path: Path) -> tuple[int, int]:
    """Inode and ctime: an inode number alone may be used again for another file."""
    found = path.lstat()
    return found.st_ino, found.st_ctime_ns


def _is_alive(path: Path) -> bool:
    """Whether a process listens there. A dead daemon's socket refuses; a full backlog (EAGAIN) is a living one's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            return False
        except BlockingIOError:
            return True
    return True
