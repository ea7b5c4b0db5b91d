"""What one command reached and what was refused to it: the last words of `tinysnitch run`."""

from collections import Counter
from collections.abc import Iterable, Iterator

from tinysnitch.core.flow import Direction
from tinysnitch.core.verdict import Verdict
from tinysnitch.protocol.log_lines import ConnectionLine
from tinysnitch.view.text import escape_text, shorten_middle

_WORDS = {Verdict.ALLOW: "reached", Verdict.DENY: "refused"}


def summarize_run(lines: Iterable[ConnectionLine], program_width: int | None = None) -> list[str]:
    """A line for each remote, what was reached first; the same ones counted together, in the order they came.

    Programs are shortened to the width, if there is one.
    """
    counts = Counter((line.verdict, _place_of(line), line.program, line.reason) for line in lines)
    if not counts:
        return ["no connection was tried"]
    return [text for verdict in _WORDS for text in _section(verdict, counts, program_width)]


def _section(verdict: Verdict, counts: Counter[tuple[Verdict, str, str, str]], width: int | None) -> Iterator[str]:
    rows = [(count, *row[1:]) for row, count in counts.items() if row[0] is verdict]
    for count, place, program, reason in rows:
        times = f" ({count} times)" if count > 1 else ""
        why = f": {reason}" if verdict is Verdict.DENY else ""
        name = escape_text(program)
        yield f"{_WORDS[verdict]} {place}{times} by {name if width is None else shorten_middle(name, width)}{why}"


def _place_of(line: ConnectionLine) -> str:
    host = escape_text(line.name) if line.name else line.remote_address
    address = f"[{host}]" if ":" in host else host
    if line.protocol not in ("tcp", "udp"):
        return f"{line.protocol} {address}"
    if line.direction is Direction.INBOUND:
        return f"{line.protocol} port {line.local_port} from {address}"
    return f"{line.protocol} {address}:{line.remote_port}"
