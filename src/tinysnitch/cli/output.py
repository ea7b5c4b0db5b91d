"""Everything that the commands print: data on stdout, all else on stderr. The one place that prints.

Every text is escaped on its way out: what programs and servers are called never reaches a terminal raw.
"""

import os
import sys
from collections.abc import Iterable

from tinysnitch.core.errors import SnitchError
from tinysnitch.view.text import escape_text

_HINT = "see where the output goes"


def print_line(text: str) -> None:
    """One line of data, at once: whoever reads a pipe sees it when it happens."""
    print_lines([text])


def print_lines(lines: Iterable[str]) -> None:
    """Raises BrokenPipeError when the reader is gone, SnitchError when there is no room, or no standard output."""
    if sys.stdout is None:
        raise SnitchError("cannot write: standard output is closed", _HINT)
    try:
        for line in lines:
            print(escape_text(line))  # noqa: T201
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise error_of_output(error) from None


def error_of_output(error: OSError) -> SnitchError:
    """What a failed write means for people; nothing more is tried."""
    silence_stdout()
    return SnitchError(f"cannot write: {error.strerror}", _HINT)


def print_object(encoded: bytes) -> None:
    """One JSON object, already encoded, pure ASCII."""
    print_line(encoded.decode("ascii"))


def print_note(text: str) -> None:
    """Something for the person that is no data."""
    print(f"tinysnitch: {escape_text(text)}", file=sys.stderr)  # noqa: T201


def print_progress(text: str) -> None:
    """In the place of what it said before, on a terminal (ECMA-48 8.3.41: erase in line)."""
    print(f"\r\x1b[K{escape_text(text)}", end="", file=sys.stderr, flush=True)  # noqa: T201


def print_error(message: str, hint: str = "") -> None:
    print_note(f"error: {message}")
    if hint:
        print_note(f"hint: {hint}")


def print_snitch_error(error: SnitchError) -> None:
    print_error(str(error), error.hint)


def make_printable() -> None:
    """Whatever the locale, a character that it lacks is shown escaped and stops nothing; nor does a closed stream."""
    if sys.stderr is None:  # print() would take standard output instead
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - until the end
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def silence_stdout() -> None:
    """What could not be written must not fail again at exit (signal(7), SIGPIPE; Python's own advice)."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != 1:
        os.dup2(nowhere, 1)
        os.close(nowhere)
