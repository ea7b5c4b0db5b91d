"""What is mounted where, as this process sees it, and when that changes: proc_pid_mounts(5).

Users mount too (FUSE), at paths with any bytes in them: of these the kernel escapes blanks, tabs, newlines, backslashes
and number signs (mangle() in fs/proc_namespace.c), and nothing else.
"""

import os
import re
import select
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tinysnitch.kernel.system.proc_place import PROC

_MOUNTS = Path(PROC, "self/mounts")
_ESCAPE = re.compile(r"\\([0-7]{3})")


class Mount(msgspec.Struct, frozen=True):
    place: Path
    file_system: str  # its type
    source: str  # a device, or a word of whoever mounted it


def read_mounts() -> Iterator[Mount]:
    return parse_mounts(_MOUNTS.read_text(encoding="utf-8", errors="surrogateescape"))


class MountNews:
    """Readable whenever something was mounted or unmounted where this process sees it.

    The kernel says so by POLLPRI, while the file can be read at any time (proc_pid_mounts(5)): so an epoll of its own
    waits for that alone."""

    def __init__(self) -> None:
        """Raises OSError."""
        self._mounts = os.open(Path(PROC, "self/mountinfo"), os.O_RDONLY | os.O_CLOEXEC)
        self._epoll = select.epoll(1)
        self._epoll.register(self._mounts, select.EPOLLPRI)

    def close(self) -> None:
        self._epoll.close()
        os.close(self._mounts)

    def fileno(self) -> int:
        return self._epoll.fileno()

    def drain(self) -> None:
        self._epoll.poll(0)


def parse_mounts(text: str) -> Iterator[Mount]:
    """The oldest first. Of several at one place, the last one is what is seen there."""
    for line in text.split("\n"):
        fields = line.split(" ")
        if len(fields) > 2:
            yield Mount(Path(_ESCAPE.sub(_unescape, fields[1])), fields[2], fields[0])


def _unescape(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 8))
