"""The client that reads the last decisions for a prompt, without a socket or a clock: bytes in, events out.

It has a connection of its own. A daemon that decides more than a client reads cuts that client off, which must not end
the connection that questions come by. After that all are told anew, as the daemon keeps them.
"""

from collections.abc import Iterator
from pathlib import Path

from tinysnitch.client.connection_error import error_of_end, error_of_malformed, read_welcome
from tinysnitch.client.knock import encode_request
from tinysnitch.client.prompt_client import RETRY_S
from tinysnitch.core.model.errors import Malformed, SnitchError
from tinysnitch.protocol.framing import MAX_REPLY, FrameDecoder, FrameReader
from tinysnitch.protocol.log_lines import ConnectionLine, parse_log_line
from tinysnitch.protocol.messages import LOG_LINE, FromDaemon, Hello, ReadLog
from tinysnitch.view.prompt_events import DecisionsTold, Event
from tinysnitch.view.recent_decisions import MAX_KEPT

_decoder: FrameDecoder[FromDaemon] = FrameDecoder(FromDaemon)


class LogClient:
    """As PromptClient: the loop connects, calls `receive` with what it reads, and sends `unsent`."""

    is_answering = False  # no answer goes this way

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._begin()

    def _begin(self) -> None:
        self.unsent = bytearray()
        self._is_welcome = False
        self._reader = FrameReader(MAX_REPLY)

    def wait_for_room(self, _now: float) -> float:
        return RETRY_S

    def receive(self, data: bytes, _boot_s: float) -> Iterator[Event]:
        """What the daemon says; no data: it has closed the connection. Raises SnitchError when that is over."""
        if not data:
            raise error_of_end(self._path)
        lines: list[ConnectionLine] = []
        try:
            for frame in self._reader.feed(data):
                if not self._is_welcome:
                    yield self._greet(frame)
                elif frame.startswith(LOG_LINE):
                    lines += _decisions_in(frame)
        except Malformed as error:
            raise error_of_malformed(error) from error
        if lines:
            yield DecisionsTold(tuple(lines))

    def end(self, _error: SnitchError) -> Iterator[Event]:
        """The connection has ended, or none was made. The prompt's own connection tells why."""
        self._begin()
        return iter(())

    def _greet(self, frame: bytes) -> Event:
        read_welcome(_decoder.decode(frame), self._path)
        self._is_welcome = True
        for request in (Hello(), ReadLog(MAX_KEPT, follow=True)):
            self.unsent += encode_request(request)
        return DecisionsTold((), is_anew=True)


def _decisions_in(frame: bytes) -> Iterator[ConnectionLine]:
    """The decision of a line of the log. Other lines tell of none; and the history has lines of other versions."""
    try:
        line = parse_log_line(frame)
    except Malformed:
        return
    if isinstance(line, ConnectionLine):
        yield line
