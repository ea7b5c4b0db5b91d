"""Prints notes, errors and hints on standard error, escaped, so that no name in them can steer a terminal."""

import sys
from contextlib import suppress

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.view.escape import escape_text


def print_note(text: str) -> None:
    """Print a line for the person, beside the data on standard output; lost if standard error cannot be written."""
    print_bare_note(f"tinysnitch: {text}")


def print_bare_note(text: str) -> None:
    """As print_note(), without `tinysnitch: ` in front, for a line that people copy."""
    with suppress(OSError):
        print(escape_text(text), file=sys.stderr)  # noqa: T201


def print_error(message: str, hint: str = "") -> None:
    print_note(f"error: {message}")
    if hint:
        print_note(f"hint: {hint}")


def print_snitch_error(error: SnitchError) -> None:
    print_error(str(error), error.hint)
