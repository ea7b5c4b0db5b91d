"""DNS over TCP (RFC 7766): cuts the segments of a connection with a resolver into messages.

Rules: (1) only a connection that was seen from its SYN on is read, and the first doubt ends the reading for good:
whoever could make us begin in the middle could pass off a part of an answer as a whole one; (2) messages come out
whole, each once; (3) the number of connections is bounded, and those that were given up are counted.
"""

from collections.abc import Iterator

import msgspec

from tinysnitch.core.dns.wire import MAX_MESSAGE_BYTES
from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.flow import Flow
from tinysnitch.core.model.tables import ClaimedTable, TableStatistics
from tinysnitch.core.packets.byte_stream import ByteStream
from tinysnitch.core.packets.packet import Segment

IDLE_S = 120.0  # an older connection is dropped, which is no loss: resolvers close idle ones sooner (RFC 7766 6.2.3)
_PREFIX_BYTES = 2  # each message follows its length (RFC 1035 4.2.2)
_LEAST_BYTES = 12  # a header
MAX_MESSAGES = 256  # in a segment; they take 1 ms


class MessageReader:
    """Cuts one direction into messages. One that is larger than MAX_MESSAGE_BYTES is skipped by its length."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self._buffer = bytearray()
        self._to_skip = 0

    def read(self, segment: Segment) -> Iterator[bytes]:
        """The messages that the segment completes, with b"" in place of one that is too large. Raises Malformed."""
        self._buffer += self.stream.push(segment.data_sequence, segment.payload)
        for _ in range(MAX_MESSAGES + 1):
            if not self._skip() or len(self._buffer) < _PREFIX_BYTES:
                return
            size = int.from_bytes(self._buffer[:_PREFIX_BYTES])
            end = _PREFIX_BYTES + size
            if size < _LEAST_BYTES:
                raise Malformed(f"DNS message of {size} bytes")
            if size > MAX_MESSAGE_BYTES:
                self._to_skip = end
                yield b""
                continue
            if len(self._buffer) < end:
                return
            yield bytes(self._buffer[_PREFIX_BYTES:end])
            del self._buffer[:end]
        raise Malformed(f"more than {MAX_MESSAGES} DNS messages in a segment")

    def _skip(self) -> bool:
        """Drop what came of a message that is too large. True once nothing of it is to come."""
        size = min(self._to_skip, len(self._buffer))
        del self._buffer[:size]
        self._to_skip -= size
        return not self._to_skip


class _Connection(msgspec.Struct):
    questions: MessageReader
    used_s: float
    answers: MessageReader | None = None  # None until the resolver's SYN was seen


class DnsStreams:
    """The connections with trusted resolvers. Flows are as the program sees them: outbound."""

    def __init__(self, capacity: int) -> None:
        self._connections: ClaimedTable[Flow, _Connection] = ClaimedTable(capacity)
        self.given_up = 0  # connections whose segments contradicted each other, came too early, or held too much

    def follows(self, flow: Flow) -> bool:
        """Whether this connection is read: it was opened while its resolver was trusted."""
        return self._connections.find(flow) is not None

    def read_questions(self, flow: Flow, segment: Segment, now_s: float, *, user: int = 0) -> list[bytes]:
        """The questions that this segment completes. Raises Malformed. `user`: whose connection it is."""
        if segment.is_opening:
            self._open(flow, segment, now_s, user)
        connection = self._find(flow, now_s)
        return self._read(flow, connection.questions, segment) if connection else []

    def read_answers(self, flow: Flow, segment: Segment, now_s: float) -> list[bytes]:
        """The answers that this segment completes. Raises Malformed, also where the connection is not followed."""
        connection = self._find(flow, now_s)
        if connection and segment.is_opening and connection.answers is None:
            _accept(connection, segment)
        if connection is None or connection.answers is None:
            if segment.payload:
                raise Malformed("a TCP connection that was not seen from its beginning")
            return []
        messages = self._read(flow, connection.answers, segment)
        if segment.is_last and connection.answers.stream.is_next(_after(segment)):
            self._connections.pop(flow)
        return messages

    def statistics(self) -> TableStatistics:
        return self._connections.statistics()

    def _open(self, flow: Flow, segment: Segment, now_s: float, user: int) -> None:
        while (oldest := self._connections.find_oldest()) and now_s - oldest[1].used_s > IDLE_S:
            self._connections.pop(oldest[0])
        reader = MessageReader(ByteStream(segment.data_sequence))
        self._connections.put(flow, _Connection(reader, now_s), user)

    def _find(self, flow: Flow, now_s: float) -> _Connection | None:
        connection = self._connections.find(flow)
        if connection:
            connection.used_s = now_s
        return connection

    def _read(self, flow: Flow, reader: MessageReader, segment: Segment) -> list[bytes]:
        try:
            return list(reader.read(segment))
        except Malformed:
            self._connections.pop(flow)
            self.given_up += 1
            raise


def _accept(connection: _Connection, segment: Segment) -> None:
    """Take the resolver's SYN if it acknowledges ours, with the data in that (TCP Fast Open, RFC 7413) or without."""
    if segment.is_acknowledging and connection.questions.stream.covers(segment.acknowledgement):
        connection.answers = MessageReader(ByteStream(segment.data_sequence))


def _after(segment: Segment) -> int:
    return (segment.data_sequence + len(segment.payload)) & 0xFFFFFFFF
