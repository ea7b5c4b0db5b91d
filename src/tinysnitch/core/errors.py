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
    """The words of a command say nothing that could be meant, whatever is the case."""

    exit_code = 2


class DaemonNotRunning(SnitchError):
    """Nobody listens on the control socket."""

    exit_code = 3


class Busy(SnitchError):
    """The daemon runs, and has no room just now."""


class NotPermitted(SnitchError):
    """The caller may not do this (wrong user, missing capability)."""

    exit_code = 4


class Malformed(ValueError):
    """Bytes that the protocol does not allow; the peer is to blame, not us."""


def is_shortage(error: BaseException | None) -> bool:
    """Whether there were too few descriptors, or too little memory or room in the kernel, just then."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _SHORTAGES)


def words_of(error: BaseException | None) -> str:
    """Python says nothing of why it has no memory."""
    return "too little memory" if isinstance(error, MemoryError) else str(error)


def hint_for(error: OSError, hint: str) -> str:
    """What may help, where it is not for want of anything."""
    return SHORTAGE_HINT if is_shortage(error) else hint


def unless_short(error: Exception, answer: _Answer) -> _Answer:
    """What the error says of that which was asked for. A shortage says nothing of it, and is raised again: who took
    that for absent would let pass what a rule denies, and remember it."""
    if is_shortage(error):
        raise error
    return answer


@dataclass(eq=True)
class RuleSyntaxError(SnitchError):
    """A line that is not a rule. `source` is a file name, or ARGUMENT for one that somebody types; counted from 1."""

    source: str
    line: int
    column: int
    problem: str
    hint: str = ""

    def __str__(self) -> str:
        place = "column " if self.source == ARGUMENT else f"{self.source}:{self.line}:"
        return f"{place}{self.column}: {self.problem}"

    def with_hint(self) -> str:
        """All in one line, where there may be several."""
        return f"{self} (hint: {self.hint})" if self.hint else str(self)
