"""sha256 of the content of files."""

import hashlib
import os
import stat
from io import BufferedReader

from tinysnitch.core.errors import unless_short
from tinysnitch.core.raw_text import bytes_of
from tinysnitch.core.table import BoundedTable

MAX_BYTES = 512 << 20  # at 1.5 GB a second a third of one; a browser has some 250 MB
LONGEST_SUM_S = 0.5  # that these take: in what seems longer, the processor was somebody else's
FEW_BYTES = 1 << 20  # what may be read at any time: 1 ms
_KEPT = 1024
_CHUNK_BYTES = 256 << 10


class Digests:
    """Remembered while device, inode, ctime and size stay. Whoever asks for one waits until the file is read."""

    def __init__(self) -> None:
        self.read_bytes = 0  # so far
        self._known: BoundedTable[tuple[int, int, int, int], str] = BoundedTable(_KEPT)

    def read_sha256(self, path: str, most_bytes: int = MAX_BYTES) -> str | None:
        """Hex digest; None when the file can't be read, is no regular one, or has more than MAX_BYTES. Of one that has
        more than `most_bytes` only what is remembered is told."""
        try:
            with open(bytes_of(path), "rb", opener=_open_at_once) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
                    return None
                key = (status.st_dev, status.st_ino, status.st_ctime_ns, status.st_size)
                digest = self._known.find(key)
                if digest is None and status.st_size <= most_bytes:
                    digest = self._read_digest(file)
                    self._known.put(key, digest)
                return digest
        except (OSError, ValueError) as error:
            return unless_short(error, None)

    def _read_digest(self, file: BufferedReader) -> str:
        """As hashlib.file_digest(), which tells nobody how far it came."""
        digest, chunk = hashlib.sha256(), memoryview(bytearray(_CHUNK_BYTES))
        while size := file.readinto(chunk):
            digest.update(chunk[:size])
            self.read_bytes += size
        return digest.hexdigest()


def _open_at_once(path: str, flags: int) -> int:
    """A FIFO would wait for its writer: open(2)."""
    return os.open(path, flags | os.O_NONBLOCK)
