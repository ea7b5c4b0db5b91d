"""Locks the state folder for one daemon: two would take each other's temporary rules and history for their own."""

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.store.text_file import errors_named

_NAME = "lock"
_HINT = "name another folder with --state-dir: each daemon has its own temporary rules and history"
_NOT_WRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class StateLock:
    """Held from its making until `close`, or until the process ends.

    The lock is on a file in the folder that only root may open: any process that may open a file may lock it
    (flock(2)). The file stays there, and has the holder's pid in it.
    """

    def __init__(self, folder: Path) -> None:
        """Make the folder if it does not exist, and lock it. Raises SnitchError."""
        with errors_named(folder):
            make_state_folder(folder)
        with errors_named(folder / _NAME):
            self._fd = _open(folder / _NAME)
        if self._fd is None:  # a full disk must not keep us from starting, and nothing new is shared there
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


def make_state_folder(folder: Path) -> None:
    """Make the folder and those above it. With a lax umask others could write there, and exchange what is in it; and
    whoever may read it could hold its lock, so that we wait."""
    if folder.is_dir():  # mkdir(2) would wait for the lock of the folder above (filename_create()), which all may read
        return
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
