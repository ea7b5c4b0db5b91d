"""Errors sorted by who must act: the user (SnitchError) or the peer (Malformed). All else is our bug."""

import errno
from dataclasses import dataclass
from typing import TypeVar

ARGUMENT = "<argument>"
SHORTAGE_HINT = "are there too many processes or open files, or too little memory? see `ulimit -a`"
_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)

_Answer = TypeVar("_Answer")


class SnitchError(Exception):
    """Something the user can act on. Printed as `error:` then `hint:`, never as a traceback."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class NotUnderstood(SnitchError):
    """A command's words make no sense, whatever the state of the firewall."""

    exit_code = 2


class DaemonNotRunning(SnitchError):
    """No daemon listens on the control socket."""

    exit_code = 3


class Busy(SnitchError):
    """The daemon runs, but has no room for this now."""


class NotPermitted(SnitchError):
    """The caller may not do this (wrong user, missing capability)."""

    exit_code = 4


class Malformed(ValueError):
    """Bytes that their protocol does not allow: the sender is to blame, not us."""


def is_shortage(error: BaseException | None) -> bool:
    """Whether the error says that file descriptors, memory or room in the kernel ran out."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _SHORTAGES)


def words_of(error: BaseException | None) -> str:
    """The error's text; for a MemoryError, which has none, words of our own."""
    return "too little memory" if isinstance(error, MemoryError) else str(error)


def hint_for(error: OSError, hint: str) -> str:
    """The hint for an error: this one, or that for a shortage if it is one."""
    return SHORTAGE_HINT if is_shortage(error) else hint


def unless_short(error: Exception, answer: _Answer) -> _Answer:
    """The answer that the error gives about the thing that was looked up. A shortage gives none, and is raised again:
    taken for "not there", it would let pass what a rule denies, and be remembered."""
    if is_shortage(error):
        raise error
    return answer


@dataclass(eq=True)
class LineError(SnitchError):
    """What is wrong on a line of a file, or of an argument. `source` is a file name, or ARGUMENT for a typed line; line
    and column count from 1, and 0 means that none can be told."""

    source: str
    line: int
    column: int
    problem: str
    hint: str = ""

    def __str__(self) -> str:
        place = "column " if self.source == ARGUMENT else f"{self.source}:"
        numbers = (self.column,) if self.source == ARGUMENT else (self.line, self.column)
        return f"{place}{''.join(f'{number}:' for number in numbers if number)} {self.problem}"

    def with_hint(self) -> str:
        """The error and its hint in one line, for places where several errors are listed."""
        return f"{self} (hint: {self.hint})" if self.hint else str(self)


class RuleSyntaxError(LineError):
    """A line that is no rule."""
