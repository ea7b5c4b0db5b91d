"""Files in the state folder that one daemon leaves to the next: names of addresses, arguments of programs, the mode.

Their content holds within one boot of the machine, whose clock and pids it has. A file that cannot be read is ignored.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from tinysnitch.core.dns.belief import KnownName
from tinysnitch.core.model.asking_mode import ASKING, AskingMode
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.store.whole_file import errors_named, read_text, remove_unfinished, replace_text

_MODE = 0o600  # names that programs asked for, and arguments hidden by a title, are for no other user
_log = logging.getLogger(__name__)


class OfBoot(msgspec.Struct, frozen=True):
    boot_id: str


Content = TypeVar("Content", bound=OfBoot)


class KeptFile(Generic[Content]):
    """`without`: for the log, what it means that the file cannot be read."""

    def __init__(self, path: Path, kind: type[Content], without: str) -> None:
        self.path = path
        self._kind = kind
        self._without = without

    def read(self, boot_id: str) -> Content | None:
        """The content if it is of this boot, else None. A file that cannot be read is logged and ignored."""
        content = self.read_any()
        return content if content and content.boot_id == boot_id else None

    def read_any(self) -> Content | None:
        """The content, of whichever boot it is."""
        remove_unfinished(self.path)
        try:
            return msgspec.json.decode(read_text(self.path), type=self._kind)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:  # ValueError: what msgspec refuses, or no UTF-8
            _log.warning("%s cannot be read: %s; %s", self.path, error, self._without)
            return None

    def replace(self, content: Content) -> None:
        """Raises SnitchError."""
        with errors_named(self.path):
            replace_text(self.path, msgspec.json.encode(content).decode(), _MODE, is_synced=False)


class Asker(msgspec.Struct, frozen=True, array_like=True):
    """A process that asked for a name."""

    pid: int
    started_ns: int  # boot-time clock
    number: int  # of its newest question for it


class KeptName(msgspec.Struct, frozen=True, array_like=True):
    """A name with the processes that asked for it, since every daemon assigns new exec ids."""

    known: KnownName  # without askers
    askers: tuple[Asker, ...]


class _Names(OfBoot, frozen=True):
    names: tuple[KeptName, ...]


class KeptNames:
    """The names of addresses, from a clean end of the daemon to its next start. They are read once, and the file is
    removed: after a kill, names from before the last start might have been superseded."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = KeptFile(path, _Names, "names are learned anew")

    def take(self, boot_id: str) -> tuple[KeptName, ...]:
        """Return the names if they are of this boot, and remove the file."""
        content = self._file.read(boot_id)
        with suppress(OSError):
            self.path.unlink()
        return content.names if content else ()

    def replace(self, boot_id: str, names: Sequence[KeptName]) -> None:
        """Raises SnitchError."""
        self._file.replace(_Names(boot_id, tuple(names)))


class KeptProcess(msgspec.Struct, frozen=True, array_like=True):
    """One process. The beginning of its stack and the inode of its executable tell this exec from a later one."""

    pid: int
    started_ns: int  # boot-time clock, in ticks
    stack: int  # address where it begins
    inode: int  # of the executable
    argv: tuple[bytes, ...]
    directory: bytes  # empty: not known


class _Arguments(OfBoot, frozen=True):
    processes: tuple[KeptProcess, ...]


class KeptArguments:
    """Arguments which programs overwrote with a title. An entry holds as long as its process runs the same executable
    since the same exec."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = KeptFile(path, _Arguments, "the arguments of programs that wrote a title over them are not known")

    def read(self, boot_id: str) -> tuple[KeptProcess, ...]:
        content = self._file.read(boot_id)
        return content.processes if content else ()

    def replace(self, boot_id: str, processes: Sequence[KeptProcess]) -> None:
        """Raises SnitchError."""
        self._file.replace(_Arguments(boot_id, tuple(processes)))


class _Mode(OfBoot, frozen=True):
    mode: AskingMode


class KeptMode:
    """The mode that somebody set, until it ends. There is no file while people are asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = KeptFile(path, _Mode, "people are asked again")

    def read(self, boot_id: str) -> AskingMode:
        content = self._file.read(boot_id)
        return content.mode if content else ASKING

    def replace(self, boot_id: str, mode: AskingMode) -> None:
        """Raises SnitchError. An earlier mode is not kept even then, if its file can be removed."""
        with errors_named(self.path):
            self.path.unlink(missing_ok=True)
        if mode.verdict is not Verdict.ASK:
            self._file.replace(_Mode(boot_id, mode))
