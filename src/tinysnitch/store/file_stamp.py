"""Stamps tell which state of a file was read, so that it need not be read again."""

import os
import time
from pathlib import Path

import msgspec

# Before Linux 6.13 file times have steps of up to 10 ms (inode_set_ctime_current): a file that changed a moment ago may
# change once more within the same step.
SETTLE_NS = 20_000_000


class Stamp(msgspec.Struct, frozen=True):
    """Status of a file (stat(2)). Once it is settled, any later change gives another stamp."""

    inode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int  # can be forged only by setting the clock

    def is_settled(self) -> bool:
        """Whether the last change is long enough ago; also if the clock was set back, so that it lies in the future."""
        return abs(time.time_ns() - self.ctime_ns) > SETTLE_NS

    def is_of(self, written: os.stat_result) -> bool:
        """Whether this is the file with that status, renamed since (which changes the ctime alone)."""
        return (self.inode, self.size_bytes, self.mtime_ns) == (written.st_ino, written.st_size, written.st_mtime_ns)


def read_stamp(path: Path | int) -> Stamp:
    """The stamp of the file that the path leads to. Raises OSError."""
    status = os.stat(path)
    return Stamp(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
