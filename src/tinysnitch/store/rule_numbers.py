"""The numbers of rules, by which people name them: each line has one as long as it lives, and no other line gets it.

A number is given when its line is first shown, and kept in a file of the state folder, over restarts: a line `3<TAB>
GROUP<TAB>RULE` is appended to it, so that showing 10,000 rules costs no rewriting. Nothing is synced: a power cut may
take the numbers of the last seconds.

The file is read when a number is first wanted: who never looks at rules pays nothing.
"""

import errno
import logging
import os
from collections.abc import Collection
from pathlib import Path

from tinysnitch.core.model.undecoded import bytes_of
from tinysnitch.store.locks import make_state_folder
from tinysnitch.store.whole_file import read_text, replace_text

SPARE = 1000  # so many numbers of lines that are gone are kept beside those that are there
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MODE = 0o600  # rules hold arguments of programs, and these may hold secrets

_log = logging.getLogger(__name__)

Line = tuple[str, str]  # the name of the group of rules that has it, "" for the rules file, and the rule


class RuleNumbers:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_read = False
        self._numbers: dict[Line, int] = {}
        self._lines: dict[int, Line] = {}
        self._last = 0
        self._file: int | None = None
        self._is_failing = False

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file = None

    def get(self, rule: str, group: str = "") -> int | None:
        """The number of this line, a new one if it had none; None if that cannot be kept."""
        self._read_once()
        return self._numbers.get((group, rule)) or self._give((group, rule))

    def find(self, number: int) -> Line | None:
        """The line that has this number; it may be gone."""
        self._read_once()
        return self._lines.get(number)

    def was_given(self, number: int) -> bool:
        self._read_once()
        return 0 < number <= self._last

    def forget_others(self, shown: Collection[int]) -> None:
        """Forget lines that are gone, once there are many: of all rules that are in force, these numbers were shown."""
        if len(self._lines) <= 2 * len(shown) + SPARE:
            return
        kept = {number: self._lines[number] for number in shown if number in self._lines}
        last = _format(self._last, ("", ""))  # no number is given again
        text = "".join((*(_format(number, line) for number, line in kept.items()), last))
        try:
            replace_text(self.path, text, _MODE, is_synced=False)
        except OSError as error:
            self._tell(error)
            return
        self.close()
        self._lines, self._numbers = kept, {line: number for number, line in kept.items()}

    def _read_once(self) -> None:
        """If the file is there, but cannot be read, no number is given: it could be another line's."""
        if self._is_read:
            return
        try:
            self._read()
            self._is_read = True
        except OSError as error:
            self._tell(error)

    def _read(self) -> None:
        try:
            text = read_text(self.path)
        except FileNotFoundError:
            return
        whole = text[: text.rfind("\n") + 1]
        if whole != text:  # after a power cut: half of a line could be another rule
            os.truncate(self.path, len(bytes_of(whole)))
        for entry in whole.split("\n"):
            number, _, line = entry.partition("\t")
            group, _, rule = line.partition("\t")
            if number.isascii() and number.isdigit():
                self._last = max(self._last, int(number))
                if rule:
                    self._know(int(number), (group, rule))

    def _know(self, number: int, line: Line) -> None:
        self._numbers[line], self._lines[number] = number, line

    def _give(self, line: Line) -> int | None:
        if not self._is_read:
            return None
        number = self._last + 1
        try:
            self._append(bytes_of(_format(number, line)))
        except OSError as error:
            self._tell(error)
            return None
        self._last, self._is_failing = number, False
        self._know(number, line)
        return number

    def _append(self, entry: bytes) -> None:
        """Append all of the entry, or nothing."""
        if self._file is None:
            make_state_folder(self.path.parent)
            self._file = os.open(self.path, _FLAGS, _MODE)
        written = os.write(self._file, entry)
        if written < len(entry):
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _tell(self, error: OSError) -> None:
        if not self._is_failing:
            _log.warning("%s: %s; rules have no numbers", self.path, error.strerror)
        self._is_failing = True


def _format(number: int, line: Line) -> str:
    group, rule = line
    return f"{number}\t{group}\t{rule}\n"
