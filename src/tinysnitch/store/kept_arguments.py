"""The file that hands arguments which programs overwrote with a title from one daemon to the next.

An entry holds as long as its process runs the same executable since the same exec.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from tinysnitch.store.handover_files import KeptFile, OfBoot


class KeptProcess(msgspec.Struct, frozen=True, array_like=True):
    """One process. The beginning of its stack and the inode of its executable tell this exec from a later one."""

    pid: int
    started_ns: int  # boot-time clock, in ticks
    stack: int  # address where it begins
    inode: int  # of the executable
    argv: tuple[bytes, ...]
    directory: bytes  # empty: not known


class _Content(OfBoot, frozen=True):
    processes: tuple[KeptProcess, ...]


class KeptArguments:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = KeptFile(path, _Content, "the arguments of programs that wrote a title over them are not known")

    def read(self, boot_id: str) -> tuple[KeptProcess, ...]:
        content = self._file.read(boot_id)
        return content.processes if content else ()

    def replace(self, boot_id: str, processes: Sequence[KeptProcess]) -> None:
        """Raises SnitchError."""
        self._file.replace(_Content(boot_id, tuple(processes)))
