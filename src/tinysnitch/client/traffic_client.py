"""The client that looks at who talks with whom, without a socket or a clock: bytes in, events out.

It has a connection of its own, as a client that reads too little is cut off. Then it looks again, and what was counted
meanwhile is not known.
"""

from collections.abc import Iterator
from pathlib import Path

from tinysnitch.client.connection_error import error_of_end, error_of_malformed, read_welcome
from tinysnitch.client.knock import encode_request
from tinysnitch.client.prompt_client import RETRY_S
from tinysnitch.core.model.errors import Malformed, SnitchError
from tinysnitch.protocol.framing import MAX_REPLY, FrameDecoder, FrameReader
from tinysnitch.protocol.messages import FromDaemon, Hello, TrafficEntry, TrafficTold, WatchTraffic
from tinysnitch.view.live.seen import TrafficSeen

_decoder: FrameDecoder[FromDaemon] = FrameDecoder(FromDaemon)


class TrafficClient:
    """As PromptClient: the loop connects, calls `receive` with what it reads, and sends `unsent`."""

    is_answering = False  # no answer goes this way

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._begin()

    def _begin(self) -> None:
        self.unsent = bytearray()
        self._is_welcome = False
        self._reader = FrameReader(MAX_REPLY)
        self._entries: list[TrafficEntry] = []  # of the second that is being told

    def wait_for_room(self, _now: float) -> float:
        return RETRY_S

    def receive(self, data: bytes, _boot_s: float) -> Iterator[TrafficSeen]:
        """What the daemon says; no data: it has closed the connection. Raises SnitchError when that is over."""
        if not data:
            raise error_of_end(self._path)
        try:
            for frame in self._reader.feed(data):
                yield from self._take(_decoder.decode(frame))
        except Malformed as error:
            raise error_of_malformed(error) from error

    def _take(self, message: FromDaemon) -> Iterator[TrafficSeen]:
        if not self._is_welcome:
            read_welcome(message, self._path)
            self._is_welcome = True
            for request in (Hello(), WatchTraffic()):
                self.unsent += encode_request(request)
        elif isinstance(message, TrafficEntry):
            self._entries.append(message)
        elif isinstance(message, TrafficTold):
            entries, self._entries = tuple(self._entries), []
            yield TrafficSeen(entries, message.until, message.left_out)

    def end(self, _error: SnitchError) -> Iterator[TrafficSeen]:
        """The connection has ended, or none was made. The prompt's own connection tells why."""
        self._begin()
        return iter(())
