"""The rules that observe mode learns: a file in the state folder, for people to read and copy lines from.

Nothing here raises: rules that find no room, or cannot be written, are counted as lost.
"""

import logging
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tinysnitch.core.model.raw_text import bytes_of
from tinysnitch.store.text_file import read_text

MAX_BYTES = 4 << 20  # of the file and of the memory: a program's arguments can make a line as long as 54 KB
CROWD = 16  # after so many lines that differ only in their remote, or their arguments, one wider line is written
_HEADER = "# What observing (--learn) let pass, as the rules that a prompt proposes. Read them before they hold.\n"
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
_MODE = 0o600

_log = logging.getLogger(__name__)


class LearnedRules:
    """Each line is in the file once, also after a restart."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lost = 0  # connections whose rule is not in the file
        self._is_failing = False
        self._known = self._read()
        self._room = MAX_BYTES - sum(map(_size_of_line, self._known))
        self._new: list[str] = []
        self._crowds: Counter[str] = Counter()  # a wider line → lines that were written instead of it

    def _read(self) -> set[str]:
        try:
            text = read_text(self.path)
            whole = text[: text.rfind("\n") + 1]
            if whole != text:  # after a power cut: half of a line could allow more
                os.truncate(self.path, _size(whole))
        except FileNotFoundError:
            return set()
        except OSError as error:
            _log.warning("%s cannot be read: %s", self.path, error.strerror)
            return set()
        return set(whole.split("\n"))

    def add(self, line: str, wider: Sequence[str] = ()) -> None:
        """Queue a rule's line; `flush` writes it. `wider`: lines that cover it; one of them is written instead once it
        has covered CROWD lines."""
        if not self._known.isdisjoint((line, *wider)):
            return
        crowd = next((each for each in wider if self._crowds[each] >= CROWD), None)
        if crowd is not None:
            line, wider = crowd, ()
        if _size_of_line(line) > self._room:
            self.lost += 1
            return
        self._known.add(line)
        self._new.append(line)
        self._room -= _size_of_line(line)
        self._crowds.update(wider)

    def flush(self) -> None:
        """Write what is queued. If that fails the lines are forgotten; the next such connection adds them again."""
        lines, self._new = self._new, []
        if not lines:
            return
        try:
            self._append(lines)
            self._is_failing = False
        except OSError as error:
            self._forget(lines, error)

    def _append(self, lines: list[str]) -> None:
        """Write all of the lines or none."""
        fd = os.open(self.path, _FLAGS, _MODE)
        try:
            size = os.fstat(fd).st_size
            data = "".join(line + "\n" for line in lines)
            rest = memoryview(bytes_of(data if size else _HEADER + data))
            try:
                while rest:
                    rest = rest[os.write(fd, rest) :]
            except OSError:
                os.ftruncate(fd, size)
                raise
        finally:
            os.close(fd)

    def _forget(self, lines: list[str], error: OSError) -> None:
        self.lost += len(lines)
        self._known.difference_update(lines)
        self._room += sum(map(_size_of_line, lines))
        if not self._is_failing:
            _log.warning("%s cannot be written: %s", self.path, error.strerror)
        self._is_failing = True


def _size_of_line(line: str) -> int:
    return _size(line) + 1


def _size(text: str) -> int:
    return len(bytes_of(text))
