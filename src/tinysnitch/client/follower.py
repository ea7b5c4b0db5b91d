"""A client that asks once and is told from then on, without a socket or a clock: bytes in, events out.

It has a connection of its own. A daemon that tells more than a client reads cuts that client off, which must not end
the connection that questions come by. After that it asks anew.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from tinysnitch.client.connection_error import error_of_end, error_of_malformed, read_welcome
from tinysnitch.client.knock import encode_request
from tinysnitch.client.prompt_client import RETRY_S
from tinysnitch.core.model.errors import Malformed, SnitchError
from tinysnitch.protocol.framing import MAX_REPLY, FrameDecoder, FrameReader
from tinysnitch.protocol.messages import FromDaemon, Hello, Request

decoder: FrameDecoder[FromDaemon] = FrameDecoder(FromDaemon)
T = TypeVar("T")


class Follower(ABC, Generic[T]):
    """As PromptClient: the loop connects, calls `receive` with what it reads, and sends `unsent`."""

    is_answering = False  # no answer goes this way

    def __init__(self, path: str | Path, request: Request) -> None:
        self._path = path
        self._request = request
        self._begin()

    def _begin(self) -> None:
        """What was told so far counts no more."""
        self.unsent = bytearray()
        self._is_welcome = False
        self._reader = FrameReader(MAX_REPLY)

    def wait_for_room(self, _now: float) -> float:
        return RETRY_S

    def receive(self, data: bytes, _boot_s: float) -> Iterator[T]:
        """What the daemon says; no data: it has closed the connection. Raises SnitchError when that is over."""
        if not data:
            raise error_of_end(self._path)
        told: list[bytes] = []
        try:
            for frame in self._reader.feed(data):
                if self._is_welcome:
                    told.append(frame)
                else:
                    self._greet(frame)
                    yield from self._begun()
            yield from self._tell(told)
        except Malformed as error:
            raise error_of_malformed(error) from error

    def end(self, _error: SnitchError) -> Iterator[T]:
        """The connection has ended, or none was made. The prompt's own connection tells why."""
        self._begin()
        return iter(())

    def _greet(self, frame: bytes) -> None:
        read_welcome(decoder.decode(frame), self._path)
        self._is_welcome = True
        for request in (Hello(), self._request):
            self.unsent += encode_request(request)

    def _begun(self) -> Iterator[T]:
        """What is to be shown once the daemon was asked."""
        return iter(())

    @abstractmethod
    def _tell(self, frames: Sequence[bytes]) -> Iterator[T]:
        """What the frames say that came together. Raises Malformed."""
