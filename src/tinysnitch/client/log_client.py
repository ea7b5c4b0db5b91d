"""The client that reads the last decisions for a prompt. After it was cut off all are told anew, as the daemon keeps
them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tinysnitch.client.follower import Follower
from tinysnitch.core.model.errors import Malformed
from tinysnitch.protocol.log_lines import ConnectionLine, parse_log_line
from tinysnitch.protocol.messages import LOG_LINE, ReadLog
from tinysnitch.view.prompt_events import DecisionsTold, Event
from tinysnitch.view.recent_decisions import MAX_KEPT


class LogClient(Follower[Event]):
    def __init__(self, path: str | Path) -> None:
        super().__init__(path, ReadLog(MAX_KEPT, follow=True))

    def _begun(self) -> Iterator[Event]:
        yield DecisionsTold((), is_anew=True)

    def _tell(self, frames: Sequence[bytes]) -> Iterator[Event]:
        lines = tuple(line for frame in frames if frame.startswith(LOG_LINE) for line in _decisions_in(frame))
        if lines:
            yield DecisionsTold(lines)


def _decisions_in(frame: bytes) -> Iterator[ConnectionLine]:
    """The decision of a line of the log. Other lines tell of none; and the history has lines of other versions."""
    try:
        line = parse_log_line(frame)
    except Malformed:
        return
    if isinstance(line, ConnectionLine):
        yield line
