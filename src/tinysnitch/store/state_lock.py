"""The state folder is one daemon's: of two, each would take the other's temporary rules and history for its own."""

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path

from tinysnitch.core.errors import SnitchError
from tinysnitch.store.text_file import errors_named

_NAME = "lock"
_HINT = "name another folder with --state-dir: each daemon has its own temporary rules and history"
_NOT_WRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class StateLock:
    """Held from making to `close`, or to the end of the process, whatever ends it.

    By a file that only root may open, not by the folder, which others may: whoever may open it may lock it (flock(2)).
    It stays, and says whose the lock is while there is one.
    """

    def __init__(self, folder: Path) -> None:
        """Make the folder where it is missing. Raises SnitchError."""
        with errors_named(folder):
            _make(folder)
        with errors_named(folder / _NAME):
            self._fd = _open(folder / _NAME)
        if self._fd is None:  # a full disk must not keep the firewall from its start, and can share nothing new
            return
        try:
            with errors_named(folder):
                _lock(self._fd, folder)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)


def _make(folder: Path) -> None:
    """And those above it, whatever the umask is: whoever may write in one may exchange what is in it."""
    for above in reversed([each for each in folder.parents if not each.exists()]):
        above.mkdir(mode=0o755, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def _open(place: Path) -> int | None:
    try:
        return os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        if error.errno in _NOT_WRITABLE:
            return None
        raise


def _lock(fd: int, folder: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        said = os.pread(fd, 16, 0).strip()
        holder = f", process {int(said)}" if said.isdigit() else ""
        raise SnitchError(f"{folder} is the state folder of another tinysnitchd{holder}", _HINT) from None
    with suppress(OSError):
        os.ftruncate(fd, 0)
        os.pwrite(fd, b"%d\n" % os.getpid(), 0)
