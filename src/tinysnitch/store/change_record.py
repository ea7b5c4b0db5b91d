"""The file of the last changes of rules, so that they can be taken back also after a restart; in the state folder.

It is written while verdicts wait, and so it is not synced: after a power cut it may be empty, and nothing can be taken
back that was done before.
"""

import json
import logging
from pathlib import Path

import msgspec

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.rules.changes import Change, Changes
from tinysnitch.store.locks import make_state_folder
from tinysnitch.store.whole_file import errors_named, read_text, remove_unfinished, replace_text

_MODE = 0o600  # rules hold arguments of programs, and these may hold secrets

_log = logging.getLogger(__name__)


class _Kept(msgspec.Struct, frozen=True):
    next_number: int
    changes: tuple[Change, ...]


class ChangeRecord:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_failing = False

    def read(self) -> Changes:
        """What is kept; nothing if the file cannot be read, which is logged."""
        remove_unfinished(self.path)
        try:
            kept = msgspec.convert(json.loads(read_text(self.path)), _Kept)
        except FileNotFoundError:
            return Changes()
        except (OSError, ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            _log.warning("%s cannot be read: %s; what was done before cannot be taken back", self.path, error)
            return Changes()
        return Changes(kept.changes, kept.next_number)

    def write(self, changes: Changes) -> None:
        """Write all of them. If that fails they are known until the end of this daemon, which is logged once."""
        kept = msgspec.to_builtins(_Kept(changes.next_number, tuple(changes)))
        try:
            with errors_named(self.path):
                make_state_folder(self.path.parent)
                replace_text(self.path, json.dumps(kept), _MODE, is_synced=False)
            self._is_failing = False
        except SnitchError as error:
            if not self._is_failing:
                _log.warning("%s; after a restart, what is done now cannot be taken back", error)
            self._is_failing = True
