"""sha256 of the content of files."""

import hashlib
import os
import stat
from collections.abc import Callable
from io import BufferedReader

from tinysnitch.core.model.errors import unless_short
from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.core.model.undecoded import bytes_of

MAX_BYTES = 512 << 20  # takes a third of a second at 1.5 GB/s; a browser has some 250 MB
LONGEST_SUM_S = 0.5  # for MAX_BYTES: if it seems longer, others had the processor meanwhile
FEW_BYTES = 1 << 20  # may be read at any time: 1 ms
_KEPT = 1024
_CHUNK_BYTES = 256 << 10


class Digests:
    """A digest is remembered for as long as device, inode, ctime and size of the file stay. Reading one blocks."""

    def __init__(self) -> None:
        self.read_bytes = 0  # of all files so far: shows that a read comes on
        self._known: BoundedTable[tuple[int, int, int, int], str] = BoundedTable(_KEPT)

    def read_sha256(
        self, path: str, most_bytes: int = MAX_BYTES, counts: Callable[[int], bool] = lambda _descriptor: True
    ) -> str | None:
        """Hex digest; None when the file can't be read, is not a regular one, grows meanwhile, or has more than
        MAX_BYTES. A file with more than `most_bytes` is not read: its digest is returned only if it is remembered.

        `counts` is asked of the file that was read: if it does not, "" is returned, and nothing is remembered. (While a
        file is written by a mapping, only the first change shows in its ctime.)"""
        try:
            with open(bytes_of(path), "rb", opener=_open_at_once) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
                    return None
                key = (status.st_dev, status.st_ino, status.st_ctime_ns, status.st_size)
                digest = self._known.find(key)
                if digest is None and status.st_size <= most_bytes:
                    digest = self._read_digest(file, status.st_size)
                if digest is not None and not counts(file.fileno()):
                    return ""
                if digest is not None:
                    self._known.put(key, digest)
                return digest
        except (OSError, ValueError) as error:
            return unless_short(error, None)

    def _read_digest(self, file: BufferedReader, left_bytes: int) -> str | None:
        """Like hashlib.file_digest(), but counts `read_bytes` on. None: the file has grown beyond `left_bytes`, which
        its user could make it do without an end."""
        digest, chunk = hashlib.sha256(), memoryview(bytearray(_CHUNK_BYTES))
        while size := file.readinto(chunk):
            left_bytes -= size
            if left_bytes < 0:
                return None
            digest.update(chunk[:size])
            self.read_bytes += size
        return digest.hexdigest()


def _open_at_once(path: str, flags: int) -> int:
    """Without O_NONBLOCK, to open a FIFO waits for its writer: open(2)."""
    return os.open(path, flags | os.O_NONBLOCK)
