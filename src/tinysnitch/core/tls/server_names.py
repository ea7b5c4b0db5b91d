"""Server-name inspection: reads the server name of a TLS ClientHello, over TCP or in QUIC.

Only connections under inspection are read (core/engine/server_name_check.py), from their first data on. Rules: (1) what
cannot be read, or is not TLS, has no name; (2) reading ends with the first name, or with the first doubt; (3) both the
number of connections that are being read and the packets of each are bounded, and connections that had to make room are
counted.
"""

import msgspec

from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.flow import Flow
from tinysnitch.core.model.tables import ClaimedTable, TableStatistics
from tinysnitch.core.packets.packet import Payload, Segment
from tinysnitch.core.tls.client_hello import TlsReader, parse_server_name
from tinysnitch.core.tls.quic_initial import Cipher, QuicReader

MAX_SEGMENTS = 20_000  # a ClientHello of the largest size, byte by byte
MAX_DATAGRAMS = 64


class ServerName(msgspec.Struct, frozen=True):
    """The reading is over."""

    name: str | None  # None: it says none


NOTHING = ServerName(None)


class _Reading(msgspec.Struct):
    cookie: int
    reader: TlsReader | QuicReader
    left: int  # packets that are still looked at


class ServerNameReader:
    def __init__(self, capacity: int, cipher: Cipher | None) -> None:
        """Without a cipher QUIC cannot be read, and says no name."""
        self._readings: ClaimedTable[Flow, _Reading] = ClaimedTable(capacity)
        self._cipher = cipher

    def read(self, flow: Flow, cookie: int, payload: Payload, *, user: int = 0) -> ServerName | None:
        """Read the next packet of a connection, in the order that they are sent; None: further packets are needed.

        `user`: the uid whose connection it is.
        """
        reading = self._find(flow, cookie) or self._open(flow, cookie, payload, user)
        found = _read(reading, payload) if reading else NOTHING
        if found is not None:
            self._readings.pop(flow)
        return found

    def tables(self) -> dict[str, TableStatistics]:
        return {"connections being read": self._readings.statistics()}

    def _find(self, flow: Flow, cookie: int) -> _Reading | None:
        reading = self._readings.find(flow)
        return reading if reading and reading.cookie == cookie else None

    def _open(self, flow: Flow, cookie: int, payload: Payload, user: int) -> _Reading | None:
        if isinstance(payload, Segment):
            reading = _Reading(cookie, TlsReader(payload.data_sequence), MAX_SEGMENTS)
        elif self._cipher is not None:
            reading = _Reading(cookie, QuicReader(self._cipher), MAX_DATAGRAMS)
        else:
            return None
        self._readings.put(flow, reading, user)
        return reading


def _read(reading: _Reading, payload: Payload) -> ServerName | None:
    reading.left -= 1
    try:
        body = _find_hello(reading.reader, payload)
        if body is not None:
            return ServerName(parse_server_name(body))
    except Malformed:
        return NOTHING
    return None if reading.left else NOTHING


def _find_hello(reader: TlsReader | QuicReader, payload: Payload) -> bytes | None:
    if isinstance(reader, TlsReader):
        return reader.read(payload) if isinstance(payload, Segment) else None
    return reader.read(payload) if isinstance(payload, bytes) else None
