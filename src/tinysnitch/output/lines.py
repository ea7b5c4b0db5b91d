"""Prints what the commands return, on standard output, and progress, on standard error.

Every text is escaped here: no name that a program or server chose reaches a terminal raw.
"""

import sys
from collections.abc import Collection, Iterable

import msgspec

from tinysnitch.commandline.standard_streams import error_of_output
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.log_lines import format_time
from tinysnitch.view.escape import escape_text


def find_output() -> int:
    """The descriptor of standard output. Raises SnitchError if it is closed: another file may have that number."""
    if sys.stdout is None:
        raise error_of_output("standard output is closed")
    return 1


def print_line(text: str) -> None:
    """Print one line, and flush it: a reader behind a pipe sees it at once."""
    print_lines([text])


def print_lines(lines: Iterable[str]) -> None:
    """Raises BrokenPipeError if the reader of the pipe is gone, SnitchError if standard output fails or is closed."""
    find_output()
    try:
        for line in lines:
            print(escape_text(line))  # noqa: T201
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise error_of_output(error.strerror) from None


def print_object(encoded: bytes) -> None:
    """Print one JSON object that is already encoded, in ASCII."""
    print_line(encoded.decode("ascii"))


def print_entry(entry: msgspec.Struct, *moments: str, without: Collection[str] = ()) -> None:
    """Print an entry as a JSON object; fields of `moments`, in seconds or None, are written as times in the log."""
    fields = {name: value for name, value in msgspec.structs.asdict(entry).items() if name not in without}
    for moment in moments:
        fields[moment] = None if fields[moment] is None else format_time(fields[moment])
    print_object(encode_object(fields))


def print_progress(text: str) -> None:
    """Replace the progress line on the terminal (ECMA-48 8.3.41: erase in line)."""
    print(f"\r\x1b[K{escape_text(text)}", end="", file=sys.stderr, flush=True)  # noqa: T201
