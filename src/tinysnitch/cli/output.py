"""The data that the commands print, on standard output, and progress.

Every text is escaped on its way out: what programs and servers are called never reaches a terminal raw.
"""

import sys
from collections.abc import Iterable

import msgspec

from tinysnitch.commandline.standard_streams import error_of_output
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.log_lines import format_time
from tinysnitch.view.text import escape_text


def print_line(text: str) -> None:
    """One line of data, at once: whoever reads a pipe sees it when it happens."""
    print_lines([text])


def print_lines(lines: Iterable[str]) -> None:
    """Raises BrokenPipeError when the reader is gone, SnitchError when there is no room, or no standard output."""
    if sys.stdout is None:
        raise error_of_output("standard output is closed")
    try:
        for line in lines:
            print(escape_text(line))  # noqa: T201
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise error_of_output(error.strerror) from None


def print_object(encoded: bytes) -> None:
    """One JSON object, already encoded, pure ASCII."""
    print_line(encoded.decode("ascii"))


def print_entry(entry: msgspec.Struct, moment: str) -> None:
    """As print_object() does, with the field `moment`, in seconds, as the log has moments."""
    fields = msgspec.structs.asdict(entry)
    fields[moment] = None if fields[moment] is None else format_time(fields[moment])
    print_object(encode_object(fields))


def print_progress(text: str) -> None:
    """In the place of what it said before, on a terminal (ECMA-48 8.3.41: erase in line)."""
    print(f"\r\x1b[K{escape_text(text)}", end="", file=sys.stderr, flush=True)  # noqa: T201
