"""Stamps: which state of a file was read, so that it need not be read again."""

import os
import time
from pathlib import Path

import msgspec

# Before Linux 6.13 the clock of files ticks at most every 10 ms (inode_set_ctime_current): what changed a moment ago
# can change once more and look the same.
SETTLE_NS = 20_000_000


class Stamp(msgspec.Struct, frozen=True):
    """Another state of the file has another stamp (stat(2)), once it is settled."""

    inode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int  # nobody can set it back

    def is_settled(self) -> bool:
        """Also where the clock was set back since then: no change of now looks like one that is to come."""
        return abs(time.time_ns() - self.ctime_ns) > SETTLE_NS

    def is_of(self, written: os.stat_result) -> bool:
        """Whether this is the file that was written so, and moved to its place since."""
        return (self.inode, self.size_bytes, self.mtime_ns) == (written.st_ino, written.st_size, written.st_mtime_ns)


def read_stamp(path: Path | int) -> Stamp:
    """Of the file that the path leads to. Raises OSError."""
    status = os.stat(path)
    return Stamp(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
