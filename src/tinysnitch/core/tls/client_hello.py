"""The server name that a TLS client sends in clear text in its first message (RFC 8446 4.1.2, RFC 6066 3).

With ECH this is the name of the server in front, and the true one is encrypted (RFC 9849). Nobody checks the name: a
client may send any.
"""

from struct import Struct

from tinysnitch.core.model.domain import is_numbered, normalize_name
from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.packets.byte_stream import ByteStream
from tinysnitch.core.packets.packet import Segment

MAX_HELLO_BYTES = 16 * 1024  # with a post-quantum key share it has about 2000
_RECORD = Struct("!xBxH")  # content type, major version, length
_RECORD_BYTES = 5
_MAX_RECORD_BYTES = 1 << 14  # RFC 8446 5.1
MAX_RECORDS = 1024  # they take 3 ms; clients that split a ClientHello to evade censors send some hundred
_HANDSHAKE, _MAJOR = 22, 3
_CLIENT_HELLO, _HEADER_BYTES = 1, 4
_FIXED_BYTES = 34  # version and random
_SERVER_NAME, _HOST_NAME = 0, 0
_MAX_NAMES = 16  # host_name is the only kind there is, and each kind comes once (RFC 6066 3)


class HelloBuffer:
    """Collects the bytes of the handshake, which come in order, until the ClientHello is whole."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def push(self, data: bytes) -> bytes | None:
        """The body of the ClientHello once all of it is there, else None. Raises Malformed if it is something else."""
        self._bytes += data
        if len(self._bytes) < _HEADER_BYTES:
            return None
        size = int.from_bytes(self._bytes[1:_HEADER_BYTES])
        if self._bytes[0] != _CLIENT_HELLO or size > MAX_HELLO_BYTES:
            raise Malformed(f"handshake message {self._bytes[0]} of {size} bytes")
        end = _HEADER_BYTES + size
        return bytes(self._bytes[_HEADER_BYTES:end]) if len(self._bytes) >= end else None


class TlsReader:
    """Reads the ClientHello of one TCP connection out of the segments that the client sends, from the first one on."""

    def __init__(self, sequence: int) -> None:
        self._stream = ByteStream(sequence)
        self._records = bytearray()
        self._hello = HelloBuffer()
        self._left = MAX_RECORDS

    def read(self, segment: Segment) -> bytes | None:
        """The body of the ClientHello once all of it is there, else None. Raises Malformed if it is something else."""
        self._records += self._stream.push(segment.data_sequence, segment.payload)
        body = None
        while body is None and (fragment := self._take_record()):
            body = self._hello.push(fragment)
        return body

    def _take_record(self) -> bytes | None:
        """The content of the next record; None: the record is not whole yet."""
        if self._records[:1] not in (b"", bytes([_HANDSHAKE])):
            raise Malformed("not a TLS handshake")
        if len(self._records) < _RECORD_BYTES:
            return None
        major, size = _RECORD.unpack_from(self._records)
        if major != _MAJOR or not 0 < size <= _MAX_RECORD_BYTES:
            raise Malformed(f"TLS record of version {major} and {size} bytes")
        end = _RECORD_BYTES + size
        if len(self._records) < end:
            return None
        fragment = bytes(self._records[_RECORD_BYTES:end])
        del self._records[:end]
        self._left -= 1
        if self._left < 0:
            raise Malformed(f"ClientHello in more than {MAX_RECORDS} records")
        return fragment


class _Cursor:
    """Reads one field after another; raises Malformed for one that would end beyond the data."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        start, self._at = self._at, self._at + size
        if self._at > len(self._data):
            raise Malformed("ClientHello is cut short")
        return self._data[start : self._at]

    def take_number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def take_vector(self, length_bytes: int) -> bytes:
        """A field that stands behind its length, a number of `length_bytes` bytes."""
        return self.take(self.take_number(length_bytes))

    @property
    def has_more(self) -> bool:
        return self._at < len(self._data)


def parse_server_name(body: bytes) -> str | None:
    """The name in the body of a ClientHello; None: it has none, or one that is no valid name. Raises Malformed."""
    hello = _Cursor(body)
    hello.take(_FIXED_BYTES)
    hello.take_vector(1)  # session id
    hello.take_vector(2)  # cipher suites
    hello.take_vector(1)  # compression methods
    extensions = _Cursor(hello.take_vector(2) if hello.has_more else b"")
    while extensions.has_more:
        kind, data = extensions.take_number(2), extensions.take_vector(2)
        if kind == _SERVER_NAME:
            return _parse_names(data)
    return None


def _parse_names(data: bytes) -> str | None:
    names = _Cursor(_Cursor(data).take_vector(2))
    for _ in range(_MAX_NAMES):
        if not names.has_more:
            break
        kind, name = names.take_number(1), names.take_vector(2)
        if kind == _HOST_NAME:
            return _read_name(name)
    return None


def _read_name(name: bytes) -> str | None:
    """None also for an address, which is no server name (RFC 6066 3)."""
    try:
        text = normalize_name(name.decode("ascii"))
    except (Malformed, UnicodeDecodeError):
        return None
    return None if is_numbered(text) else text
