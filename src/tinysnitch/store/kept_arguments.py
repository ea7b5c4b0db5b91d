"""What programs were started with that wrote a title over it, from one daemon to the next.

It holds for processes that still run what they ran.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from tinysnitch.store.kept_file import KeptFile, OfBoot


class KeptProcess(msgspec.Struct, frozen=True, array_like=True):
    """One process, and the exec that it is known by: each has a stack of its own, and its file."""

    pid: int
    started_ns: int  # boot-time clock, in ticks
    stack: int  # where it begins
    inode: int  # of the executable
    argv: tuple[bytes, ...]
    directory: bytes  # empty: not known


class _Content(OfBoot, frozen=True):
    processes: tuple[KeptProcess, ...]


class KeptArguments:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = KeptFile(path, _Content, "of programs with a title no arguments are known")

    def read(self, boot_id: str) -> tuple[KeptProcess, ...]:
        content = self._file.read(boot_id)
        return content.processes if content else ()

    def replace(self, boot_id: str, processes: Sequence[KeptProcess]) -> None:
        """Raises SnitchError."""
        self._file.replace(_Content(boot_id, tuple(processes)))
