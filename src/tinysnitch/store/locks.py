"""A lock that keeps other tinysnitch processes from changing a file between our reading and our writing.

The lock is on a file beside it, like /etc/.pwd.lock. Any process that may open a file may lock it (flock(2)), so that
file may be opened by its owner alone. A lock on the folder would not do: all users may open that, and could keep us
waiting. The holder removes the lock file at the end, and a process that waited for the removed file starts over.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.store.text_file import remove_unfinished

PATIENCE_S = 2.0  # how long we wait for a lock; its holder may take half a second to write 100 000 rules


class LockHeld(SnitchError):
    def __init__(self, place: Path) -> None:
        super().__init__(f"{place} is held by another process", "`lslocks` tells which: end it, or let it go on")


@contextmanager
def locked(path: Path, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Hold the lock of this file, and remove what a holder that was killed left unfinished. Raises LockHeld."""
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
