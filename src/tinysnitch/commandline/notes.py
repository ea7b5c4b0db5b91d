"""What a command says besides its data: on standard error, escaped, so that no name steers a terminal."""

import sys
from contextlib import suppress

from tinysnitch.core.errors import SnitchError
from tinysnitch.view.text import escape_text


def print_note(text: str) -> None:
    """Something for the person that is no data; lost where nobody reads it, or there is no room."""
    print_bare_note(f"tinysnitch: {text}")


def print_bare_note(text: str) -> None:
    """Likewise, to be copied as it stands."""
    with suppress(OSError):
        print(escape_text(text), file=sys.stderr)  # noqa: T201


def print_error(message: str, hint: str = "") -> None:
    print_note(f"error: {message}")
    if hint:
        print_note(f"hint: {hint}")


def print_snitch_error(error: SnitchError) -> None:
    print_error(str(error), error.hint)
