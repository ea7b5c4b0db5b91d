"""The file that keeps the names of addresses from a clean end of the daemon to its next start.

When they expire is told by the clock of this boot. The file is read once and removed: after a kill, names from before
the last start might have been superseded.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from tinysnitch.core.dns.known_name import KnownName
from tinysnitch.store.handover_files import KeptFile, OfBoot


class Asker(msgspec.Struct, frozen=True, array_like=True):
    """A process that asked for a name."""

    pid: int
    started_ns: int  # boot-time clock
    number: int  # of its newest question for it


class KeptName(msgspec.Struct, frozen=True, array_like=True):
    """A name with the processes that asked for it, since every daemon assigns new exec ids."""

    known: KnownName  # without askers
    askers: tuple[Asker, ...]


class _Content(OfBoot, frozen=True):
    names: tuple[KeptName, ...]


class KeptNames:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = KeptFile(path, _Content, "names are learned anew")

    def take(self, boot_id: str) -> tuple[KeptName, ...]:
        """Return the names if they are of this boot, and remove the file."""
        content = self._file.read(boot_id)
        with suppress(OSError):
            self.path.unlink()
        return content.names if content else ()

    def replace(self, boot_id: str, names: Sequence[KeptName]) -> None:
        """Raises SnitchError."""
        self._file.replace(_Content(boot_id, tuple(names)))
