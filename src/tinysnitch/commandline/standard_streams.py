"""Makes standard input, output and error safe to use, whatever the caller did to them."""

import os
import sys

from tinysnitch.core.model.errors import SnitchError


def open_standard_streams() -> None:
    """Open streams that the caller closed on /dev/null: else a file of ours would get the number of one, and be written
    to as if it were that stream."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115 - until the end


def make_printable() -> None:
    """Have characters that the locale's encoding lacks printed as escapes, not raise; open a closed standard error."""
    if sys.stderr is None:  # print(file=None) would write to standard output instead
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - until the end
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def error_of_output(reason: str | None) -> SnitchError:
    """The error for a failed write to standard output, to which nothing is written any more."""
    _silence(1)
    return SnitchError(f"cannot write: {reason}", "see where the output goes")


def let_errors_go() -> None:
    """Drop what standard error does not take at the end of a command: else Python would exit with 120."""
    try:
        sys.stderr.flush()
    except OSError:
        _silence(2)


def _silence(number: int) -> None:
    """Lead the stream to /dev/null: Python flushes it at exit, which would fail again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)
