"""A lock that keeps others of us from changing a file between our reading and our writing.

By a file beside it that only its owner may open, as /etc/.pwd.lock is: whoever may open a file may lock it (flock(2)),
and nobody else shall keep us waiting. So not by the folder, which all may open. Only the holder of the lock takes the
file away, and whoever waited for one that was taken away tries again with what is there now.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tinysnitch.core.errors import SnitchError
from tinysnitch.store.text_file import remove_unfinished

PATIENCE_S = 2.0  # with whoever holds a lock; to write 100 000 rules takes half a second


class LockHeld(SnitchError):
    def __init__(self, place: Path) -> None:
        super().__init__(f"{place} is held by another process", "`lslocks` tells which: end it, or let it go on")


@contextmanager
def locked(path: Path, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Hold the lock of this file. What one that was killed meanwhile left of the file goes. Raises LockHeld."""
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
    """A descriptor that holds the lock, or None where another one does, or the file went: others lock a new one."""
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
