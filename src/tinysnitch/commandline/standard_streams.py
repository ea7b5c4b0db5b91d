"""Standard input, output and error, whatever the caller made of them."""

import os
import sys

from tinysnitch.core.errors import SnitchError


def open_standard_streams() -> None:
    """What the caller closed now leads nowhere: no file of ours may get its number and be taken for it."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115 - until the end


def make_printable() -> None:
    """Whatever the locale, a character that it lacks is shown escaped and stops nothing; nor does a closed stream."""
    if sys.stderr is None:  # print() would take standard output instead
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - until the end
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def error_of_output(reason: str | None) -> SnitchError:
    """What a failed write to standard output means for people; nothing more is tried."""
    _silence(1)
    return SnitchError(f"cannot write: {reason}", "see where the output goes")


def let_errors_go() -> None:
    """What standard error does not take, at the end of a command, is lost: it would end with 120."""
    try:
        sys.stderr.flush()
    except OSError:
        _silence(2)


def _silence(number: int) -> None:
    """What could not be written must not fail again at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)
