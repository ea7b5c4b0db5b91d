"""What programs were started with that wrote a title over it, in the state folder: from one daemon to the next.

It holds within one boot of the machine, for processes that still run what they ran.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tinysnitch.store.text_file import errors_named, read_text, remove_unfinished, replace_text

_MODE = 0o600  # arguments may hold secrets that a title hides
_log = logging.getLogger(__name__)


class KeptProcess(msgspec.Struct, frozen=True, array_like=True):
    """One process, and the exec that it is known by: each has a stack of its own, and its file."""

    pid: int
    started_ns: int  # boot-time clock, in ticks
    stack: int  # where it begins
    inode: int  # of the executable
    argv: tuple[bytes, ...]
    directory: bytes  # empty: not known


class _Content(msgspec.Struct, frozen=True):
    boot_id: str
    processes: tuple[KeptProcess, ...]


class KeptArguments:
    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, boot_id: str) -> tuple[KeptProcess, ...]:
        """What was kept within this boot. What cannot be read is worth no trouble."""
        remove_unfinished(self.path)
        try:
            content = msgspec.json.decode(read_text(self.path), type=_Content)
        except FileNotFoundError:
            return ()
        except (OSError, ValueError) as error:  # ValueError: what msgspec refuses, or no UTF-8
            _log.warning("%s cannot be read: %s; of programs with a title no arguments are known", self.path, error)
            return ()
        return content.processes if content.boot_id == boot_id else ()

    def replace(self, boot_id: str, processes: Sequence[KeptProcess]) -> None:
        """Raises SnitchError."""
        text = msgspec.json.encode(_Content(boot_id, tuple(processes))).decode()
        with errors_named(self.path):
            replace_text(self.path, text, _MODE, is_synced=False)
