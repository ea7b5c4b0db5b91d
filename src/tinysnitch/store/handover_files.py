"""A file in the state folder that one daemon leaves to the next. Its content holds within one boot of the machine."""

import logging
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from tinysnitch.store.text_file import errors_named, read_text, remove_unfinished, replace_text

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
        remove_unfinished(self.path)
        try:
            content = msgspec.json.decode(read_text(self.path), type=self._kind)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:  # ValueError: what msgspec refuses, or no UTF-8
            _log.warning("%s cannot be read: %s; %s", self.path, error, self._without)
            return None
        return content if content.boot_id == boot_id else None

    def replace(self, content: Content) -> None:
        """Raises SnitchError."""
        with errors_named(self.path):
            replace_text(self.path, msgspec.json.encode(content).decode(), _MODE, is_synced=False)
