"""What is told of an event, and how it is written where programs or people read it later: as text, and as JSON.

The fields are those in docs/commands.md. Text that programs control is escaped.
"""

import msgspec

from tinysnitch.core.rules.quoting import quote_word
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.log_lines import LostLine, format_time
from tinysnitch.protocol.log_text import format_endpoint
from tinysnitch.protocol.log_text import format_text as format_log_line

UNKNOWN = "unknown"


class TraceLine(msgspec.Struct, frozen=True, kw_only=True):
    time: str  # as in the log
    event: str
    protocol: str | None = None  # of the network's alone, as the remote: of a bind the local end
    address: str | None = None
    port: int | None = None
    parent: int | None = None  # of a fork
    status: int | None = None  # of an exit
    signal: int | None = None  # that ended it
    pid: int
    uid: int
    program: str | None  # None: unknown
    args: tuple[str, ...] = ()


def lost_line_of(count: int, wall_s: float) -> LostLine:
    return LostLine(time=format_time(wall_s), what="trace lines", count=count)


def format_json(line: TraceLine | LostLine) -> str:
    return encode_object(line).decode("ascii")


def format_text(line: TraceLine | LostLine) -> str:
    """`TIME connect tcp 192.0.2.1:80 426319 1000 /usr/bin/curl -s`: what, where, pid, uid, program, arguments."""
    if isinstance(line, LostLine):
        return format_log_line(line)
    place = format_place(line)
    who = " ".join(map(quote_word, (line.program or UNKNOWN, *line.args)))
    return f"{line.time} {line.event} {place + ' ' if place else ''}{line.pid} {line.uid} {who}"


def format_place(line: TraceLine) -> str:
    """What the event concerns beside its process."""
    if line.address is not None:
        return f"{line.protocol} {format_endpoint(line.address, line.port)}"
    if line.parent is not None:
        return f"parent {line.parent}"
    if line.signal is not None:
        return f"signal {line.signal}"
    return "" if line.status is None else f"status {line.status}"
