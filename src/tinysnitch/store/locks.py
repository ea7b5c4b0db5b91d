"""Locks against other tinysnitch processes: on a file that is changed, and on the state folder of a daemon.

`locked` keeps others from changing a file between our reading and our writing. Two daemons with one state folder would
take each other's temporary rules and history for their own: so each holds a StateLock.

Any process that may open a file may lock it (flock(2)), and all users may open a folder: they could keep us waiting. So
each lock is on a file of its own that its owner alone may open, like /etc/.pwd.lock.
"""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.store.whole_file import errors_named, remove_unfinished

PATIENCE_S = 2.0  # how long we wait for the lock of a file; its holder reads, writes and syncs that
_STATE_LOCK = "lock"
_HINT = "name another folder with --state-dir: each daemon has its own temporary rules and history"
_NOT_WRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class LockHeld(SnitchError):
    def __init__(self, place: Path) -> None:
        super().__init__(f"{place} is held by another process", "`lslocks` tells which: end it, or let it go on")


@contextmanager
def locked(path: Path, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Hold the lock of this file, and remove what a holder that was killed left unfinished. Raises LockHeld.

    The lock file is removed at the end, and a process that waited for the removed one starts over.
    """
    target = Path(os.path.realpath(path))
    place = target.with_name(f".{target.name}.lock")
    deadline_s = time.monotonic() + patience_s
    while (fd := _lock(place)) is None:
        if time.monotonic() > deadline_s:
            raise LockHeld(place)
        time.sleep(0.005)
    try:
        remove_unfinished(target)
        yield
    finally:
        with suppress(OSError):
            os.unlink(place)
        os.close(fd)


def _lock(place: Path) -> int | None:
    """Try to lock: a descriptor that holds the lock; None when another process does, or just removed the file."""
    fd = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(fd), os.lstat(place)):
            return fd
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None


class StateLock:
    """Held from its making until `close`, or until the process ends. The lock file stays, with the holder's pid."""

    def __init__(self, folder: Path) -> None:
        """Make the folder if it does not exist, and lock it. Raises SnitchError."""
        with errors_named(folder):
            make_state_folder(folder)
        with errors_named(folder / _STATE_LOCK):
            self._fd = _open(folder / _STATE_LOCK)
        if self._fd is None:  # a full disk must not keep us from starting, and nothing new is shared there
            return
        try:
            with errors_named(folder):
                _lock_folder(self._fd, folder)
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


def _lock_folder(fd: int, folder: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        said = os.pread(fd, 16, 0).strip()
        holder = f", process {int(said)}" if said.isdigit() else ""
        raise SnitchError(f"{folder} is the state folder of another tinysnitchd{holder}", _HINT) from None
    with suppress(OSError):
        os.ftruncate(fd, 0)
        os.pwrite(fd, b"%d\n" % os.getpid(), 0)
