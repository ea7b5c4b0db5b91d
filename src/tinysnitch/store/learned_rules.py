"""The rules that observing and pauses learn: a file in the state folder, for people to read and copy lines from.

Each line has a comment that says why and since when (core/rules/learned_line.py). The file is read once there is
something to add.

Nothing here raises: rules that find no room, or cannot be written, are counted as lost.
"""

import logging
import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from tinysnitch.core.model.undecoded import bytes_of
from tinysnitch.core.rules.learned_line import format_learned, split_learned
from tinysnitch.store.whole_file import errors_named, read_text, replace_text

MAX_BYTES = 4 << 20  # of the file and of the memory: a program's arguments can make a line as long as 54 KB
CROWD = 16  # after so many lines that differ only in their remote, or their arguments, one wider line is written
_HEADER = (
    "# What observing (--learn) and pauses let pass, as the rules that a prompt proposes. Read them before they hold.\n"
)
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
_MODE = 0o600

_log = logging.getLogger(__name__)


class LearnedRules:
    """Each rule is in the file once, also after a restart."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lost = 0  # connections whose rule is not in the file
        self._is_failing = False
        self._known: set[str] | None = None  # the rules in the file, and those that are new; None: it was not read yet
        self._room = MAX_BYTES
        self._new: dict[str, str] = {}  # rule → its line
        self.counts: Counter[str] = Counter()  # rule → connections that it stands for, since the daemon started
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
        self._room -= _size(whole)
        return {split_learned(line)[0] for line in whole.split("\n")}

    def add(self, rule: str, why: str, since_s: float, wider: Sequence[str] = ()) -> None:
        """Queue a rule; `flush` writes its line. `wider`: rules that cover it; one of them is written instead once it
        has covered CROWD rules."""
        known = self._known = self._read() if self._known is None else self._known
        there = next((each for each in (rule, *wider) if each in known), None)
        if there is not None:
            self.counts[there] += 1
            return
        crowd = next((each for each in wider if self._crowds[each] >= CROWD), None)
        if crowd is not None:
            rule, wider = crowd, ()
        line = format_learned(rule, why, since_s)
        if _size_of_line(line) > self._room:
            self.lost += 1
            return
        known.add(rule)
        self.counts[rule] += 1
        self._new[rule] = line
        self._room -= _size_of_line(line)
        self._crowds.update(wider)

    def flush(self) -> None:
        """Write what is queued. If that fails the lines are forgotten; the next such connection adds them again."""
        new, self._new = self._new, {}
        if not new:
            return
        try:
            self._append(new.values())
            self._is_failing = False
        except OSError as error:
            self._forget(new, error)

    def lines(self) -> list[tuple[str, str]]:
        """The rules of the file, each with why and since when it is there. Raises SnitchError."""
        self.flush()
        return [split_learned(line) for line in self._read_lines() if line[:1] not in ("", "#")]

    def forget(self, rules: Collection[str]) -> None:
        """Take these rules off the file; one comes back once it is learned again. Raises SnitchError."""
        self.flush()
        kept = [line for line in self._read_lines() if split_learned(line)[0] not in rules]
        with errors_named(self.path):
            replace_text(self.path, "".join(f"{line}\n" for line in kept), _MODE)
        for rule in rules:
            del self.counts[rule]
        self._known, self._room = None, MAX_BYTES  # to be read anew

    def _read_lines(self) -> list[str]:
        with errors_named(self.path):
            try:
                text = read_text(self.path)
            except FileNotFoundError:
                return []
        return text[: text.rfind("\n") + 1].split("\n")[:-1]

    def _append(self, lines: Iterable[str]) -> None:
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

    def _forget(self, new: dict[str, str], error: OSError) -> None:
        self.lost += len(new)
        self._known = None if self._known is None else self._known - new.keys()
        self._room += sum(map(_size_of_line, new.values()))
        if not self._is_failing:
            _log.warning("%s cannot be written: %s", self.path, error.strerror)
        self._is_failing = True


def _size_of_line(line: str) -> int:
    return _size(line) + 1


def _size(text: str) -> int:
    return len(bytes_of(text))
