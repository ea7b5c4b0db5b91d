"""The ClientHello in QUIC's first packets, the Initials, whose keys anybody can derive (RFC 9001 5.2, RFC 9369).

The keys come from the connection id that the client chose for its first packet, so that packet has to be seen. Pieces
of the ClientHello (CRYPTO frames) may come in any order and in several packets. The cipher is handed in.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator
from typing import Protocol

import msgspec

from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.packets.byte_stream import ByteStream
from tinysnitch.core.tls.client_hello import MAX_HELLO_BYTES, HelloBuffer

_LONG_HEADER = 0x80  # RFC 9000 17.2; the bit behind it may be 0, too (RFC 9287)
_MAX_ID_BYTES = 20
_SAMPLE_AT, _SAMPLE_BYTES = 4, 16  # RFC 9001 5.4.2
_PADDING, _PING, _CRYPTO = 0x00, 0x01, 0x06
_ACKS, _ACK_WITH_COUNTS = (0x02, 0x03), 0x03
_CLOSE = 0x1C
_MAX_ACK_RANGES = 32  # a server acknowledges a packet or two before it answers
_MAX_PACKETS = 16  # in a datagram; clients send one or two
MAX_FRAMES = 128  # of a connection, besides PADDING and PING; they take 4 ms; clients send a dozen at most
_IDLE = re.compile(b"[\\x00\\x01]*")  # PADDING and PING: most of a packet, a byte each


class Cipher(Protocol):
    """AES-128, see kernel/system/libcrypto.py."""

    def encrypt_block(self, key: bytes, block: bytes) -> bytes:
        """Encrypt one block of 16 bytes by itself (ECB)."""
        ...

    def open_sealed(self, key: bytes, nonce: bytes, sealed: bytes, associated: bytes) -> bytes | None:
        """Decrypt with GCM. `sealed` ends with the tag of 16 bytes; None: the tag is wrong."""
        ...


class _Version(msgspec.Struct, frozen=True):
    salt: bytes
    label: bytes  # in the labels of its keys
    initial: int  # the type bits of an Initial
    retry: int


_VERSIONS = {
    0x00000001: _Version(bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a"), b"quic ", 0, 3),
    0x6B3343CF: _Version(bytes.fromhex("0dede3def700a6db819381be6e269dcbf9bd2ed9"), b"quicv2 ", 1, 0),
}


class Keys(msgspec.Struct, frozen=True):
    key: bytes
    iv: bytes
    header: bytes


class _Initial(msgspec.Struct, frozen=True):
    """Where the parts of one packet are in its datagram."""

    version: int
    connection_id: bytes
    start: int
    number_at: int
    end: int


class QuicReader:
    """Reads the ClientHello of one flow out of the datagrams that the client sends, from the first one on."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher
        self._keys: Keys | None = None  # derived from the first packet's connection id
        self._frames_left = iter(range(MAX_FRAMES))
        self._stream = ByteStream(0)
        self._hello = HelloBuffer()

    def read(self, datagram: bytes) -> bytes | None:
        """The body of the ClientHello once all of it is there, else None. Raises Malformed if it is something else."""
        for initial in find_initials(datagram):
            for offset, data in crypto_frames(self._open(datagram, initial), self._frames_left):
                if offset + len(data) > 2 * MAX_HELLO_BYTES:
                    raise Malformed(f"{len(data)} bytes of a QUIC handshake at {offset}")
                body = self._hello.push(self._stream.push(offset, data))
                if body is not None:
                    return body
        if self._keys is None:
            raise Malformed("not the first datagram of a QUIC connection")
        return None

    def _open(self, datagram: bytes, initial: _Initial) -> bytes:
        """The frames in a packet. The keys change after a Retry, and only then (RFC 9001 5.2)."""
        keys = self._keys or derive_keys(initial.version, initial.connection_id)
        frames = open_packet(self._cipher, keys, datagram, initial)
        if frames is None and self._keys is not None:
            keys = derive_keys(initial.version, initial.connection_id)
            frames = open_packet(self._cipher, keys, datagram, initial)
        if frames is None:
            raise Malformed("a QUIC packet that its keys do not open")
        self._keys = keys
        return frames


def derive_keys(version: int, connection_id: bytes) -> Keys:
    """The keys with which the client encrypts its Initials."""
    this = _VERSIONS[version]
    secret = _expand(hmac.digest(this.salt, connection_id, "sha256"), b"client in", hashlib.sha256().digest_size)
    sizes = ((b"key", 16), (b"iv", 12), (b"hp", 16))
    return Keys(*(_expand(secret, this.label + name, size) for name, size in sizes))


def _expand(secret: bytes, label: bytes, size: int) -> bytes:
    """HKDF-Expand-Label (RFC 8446 7.1) of at most one hash."""
    name = b"tls13 " + label
    info = size.to_bytes(2) + bytes([len(name)]) + name + b"\0"
    return hmac.digest(secret, info + b"\x01", "sha256")[:size]


def find_initials(datagram: bytes) -> Iterator[_Initial]:
    """The Initials among the packets of a datagram (RFC 9000 12.2). Raises Malformed."""
    start = 0
    for _ in range(_MAX_PACKETS + 1):
        if start >= len(datagram) or not datagram[start] & _LONG_HEADER:
            return
        version = int.from_bytes(datagram[start + 1 : start + 5])
        kind = datagram[start] >> 4 & 3
        this = _VERSIONS.get(version)
        if this is None or kind == this.retry:
            return
        connection_id, at = _take_id(datagram, start + 5)
        _source_id, at = _take_id(datagram, at)
        if kind == this.initial:
            size, at = _take_number(datagram, at)
            at += size  # the token
        size, at = _take_number(datagram, at)
        if at + size > len(datagram) or size < _SAMPLE_AT + _SAMPLE_BYTES:
            raise Malformed(f"QUIC packet of {size} bytes in a datagram of {len(datagram)}")
        if kind == this.initial:
            yield _Initial(version, connection_id, start, at, at + size)
        start = at + size
    raise Malformed(f"more than {_MAX_PACKETS} QUIC packets in a datagram")


def may_be_initial(datagram: bytes | memoryview) -> bool:
    """Whether the datagram, of which the end may be missing, begins as one with an Initial does."""
    version = int.from_bytes(datagram[1:5])
    return len(datagram) > 5 and bool(datagram[0] & _LONG_HEADER) and version in _VERSIONS


def open_packet(cipher: Cipher, keys: Keys, datagram: bytes, initial: _Initial) -> bytes | None:
    """Remove header and packet protection (RFC 9001 5.4, 5.3); None: these are not the packet's keys."""
    sample_at = initial.number_at + _SAMPLE_AT
    mask = cipher.encrypt_block(keys.header, datagram[sample_at : sample_at + _SAMPLE_BYTES])
    first = datagram[initial.start] ^ mask[0] & 0x0F
    size = (first & 3) + 1
    payload_at = initial.number_at + size
    number = _xor(datagram[initial.number_at : payload_at], mask[1 : 1 + size])
    header = bytes([first]) + datagram[initial.start + 1 : initial.number_at] + number
    nonce = _xor(keys.iv, number.rjust(len(keys.iv), b"\0"))
    return cipher.open_sealed(keys.key, nonce, datagram[payload_at : initial.end], header)


def crypto_frames(frames: bytes, left: Iterator[object]) -> Iterator[tuple[int, bytes]]:
    """Offset and bytes of each piece of the handshake, among the frames that an Initial may hold (RFC 9000 12.4).

    `left`: yields once for each frame that may still be read.
    """
    at = 0
    while True:
        at = _skip_idle(frames, at)
        if at == len(frames):
            return
        if next(left, None) is None:
            raise Malformed("more frames than a QUIC ClientHello has pieces")
        kind, at = _take_number(frames, at)
        if kind in (_PADDING, _PING):
            continue
        if kind == _CRYPTO:
            offset, at = _take_number(frames, at)
            size, at = _take_number(frames, at)
            if at + size > len(frames):
                raise Malformed(f"CRYPTO frame of {size} bytes")
            yield offset, frames[at : at + size]
            at += size
        elif kind in _ACKS:
            at = _skip_acknowledgement(frames, at, kind)
        elif kind == _CLOSE:
            return
        else:
            raise Malformed(f"frame of type {kind} in a QUIC Initial")


def _skip_idle(frames: bytes, at: int) -> int:
    """Where the next frame begins that is neither PADDING nor PING."""
    found = _IDLE.match(frames, at)
    return found.end() if found else at


def _skip_acknowledgement(frames: bytes, at: int, kind: int) -> int:
    """An ACK frame (RFC 9000 19.3): largest, delay, number of further ranges, first range; two numbers a range; and
    perhaps three counts."""
    _largest, at = _take_number(frames, at)
    _delay, at = _take_number(frames, at)
    ranges, at = _take_number(frames, at)
    if ranges > _MAX_ACK_RANGES:
        raise Malformed(f"{ranges} ranges are acknowledged")
    for _ in range(1 + 2 * ranges + 3 * (kind == _ACK_WITH_COUNTS)):
        _value, at = _take_number(frames, at)
    return at


def _take_id(datagram: bytes, at: int) -> tuple[bytes, int]:
    size = _byte_at(datagram, at)
    end = at + 1 + size
    if size > _MAX_ID_BYTES or end > len(datagram):
        raise Malformed(f"QUIC connection id of {size} bytes")
    return datagram[at + 1 : end], end


def _take_number(data: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer (RFC 9000 16), and where it ends."""
    size = 1 << (_byte_at(data, at) >> 6)
    if at + size > len(data):
        raise Malformed("QUIC number is cut short")
    return int.from_bytes(data[at : at + size]) & ((1 << 8 * size - 2) - 1), at + size


def _byte_at(data: bytes, at: int) -> int:
    if at >= len(data):
        raise Malformed("QUIC packet is cut short")
    return data[at]


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
