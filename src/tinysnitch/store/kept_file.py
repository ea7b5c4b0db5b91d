"""What one daemon leaves to the next, in the state folder: it holds within one boot of the machine."""

import logging
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from tinysnitch.store.text_file import errors_named, read_text, remove_unfinished, replace_text

_MODE = 0o600  # where programs went, and arguments that a title hides, are their user's own business
_log = logging.getLogger(__name__)


class OfBoot(msgspec.Struct, frozen=True):
    boot_id: str


Content = TypeVar("Content", bound=OfBoot)


class KeptFile(Generic[Content]):
    """`without`: what follows where it cannot be read, for the log."""

    def __init__(self, path: Path, kind: type[Content], without: str) -> None:
        self.path = path
        self._kind = kind
        self._without = without

    def read(self, boot_id: str) -> Content | None:
        """What was kept within this boot. What cannot be read is worth no trouble."""
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
