"""The names of addresses while no daemon runs, in the state folder: from a clean end to the next start.

They hold within one boot of the machine, whose clock their ends are told by, and for processes that still run. Taken
once: what is older than the last end might have been superseded since.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from tinysnitch.core.known_name import KnownName
from tinysnitch.store.text_file import errors_named, read_text, remove_unfinished, replace_text

_MODE = 0o600  # where programs went is their user's own business
_log = logging.getLogger(__name__)


class Asker(msgspec.Struct, frozen=True, array_like=True):
    """A process that asked for a name."""

    pid: int
    started_ns: int  # boot-time clock
    number: int  # of its newest question for it


class KeptName(msgspec.Struct, frozen=True, array_like=True):
    """A name with the processes that asked for it, since every daemon gives exec ids anew."""

    known: KnownName  # without askers
    askers: tuple[Asker, ...]


class _Content(msgspec.Struct, frozen=True):
    boot_id: str
    names: tuple[KeptName, ...]


class KeptNames:
    def __init__(self, path: Path) -> None:
        self.path = path

    def take(self, boot_id: str) -> tuple[KeptName, ...]:
        """What was kept within this boot; it is there no more then. What cannot be read is worth no trouble."""
        remove_unfinished(self.path)
        try:
            content = msgspec.json.decode(read_text(self.path), type=_Content)
        except FileNotFoundError:
            return ()
        except (OSError, ValueError) as error:  # ValueError: what msgspec refuses, or no UTF-8
            _log.warning("%s cannot be read: %s; names are learned anew", self.path, error)
            content = _Content("", ())
        with suppress(OSError):
            self.path.unlink()
        return content.names if content.boot_id == boot_id else ()

    def replace(self, boot_id: str, names: Sequence[KeptName]) -> None:
        """Raises SnitchError."""
        text = msgspec.json.encode(_Content(boot_id, tuple(names))).decode()
        with errors_named(self.path):
            replace_text(self.path, text, _MODE, is_synced=False)
