"""Frames on the control socket: one JSON object a line, pure ASCII, whatever the names of programs hold.

msgspec does the work where it can; it refuses lone surrogates (bytes that are not UTF-8, PEP 383), so texts
with these take the slower way through the json module.
"""

import json
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import msgspec

from tinysnitch.core.model.errors import Malformed

DEFAULT_SOCKET = "/run/tinysnitch/socket"
MAX_FRAME = 64 * 1024  # bytes of a request, without the newline
MAX_REPLY = 1024 * 1024  # bytes of one reply object; long replies are many objects

_encoder = msgspec.json.Encoder()
T = TypeVar("T")


def encode_object(value: object) -> bytes:
    """One line of ASCII JSON without its newline, and without control characters that could steer a terminal."""
    try:
        text = _encoder.encode(value)
    except UnicodeEncodeError:
        text = b"\xff"
    if not text.isascii():
        text = json.dumps(msgspec.to_builtins(value), separators=(",", ":")).encode("ascii")
    # DEL is the one control character that JSON leaves as it is (RFC 8259, 7).
    return text.replace(b"\x7f", b"\\u007f") if b"\x7f" in text else text


def encode_frame(value: object) -> bytes:
    """The bytes of one message on the socket."""
    return encode_object(value) + b"\n"


class FrameDecoder(Generic[T]):
    """Decodes frames to values of one type. Raises Malformed, and nothing else."""

    def __init__(self, kind: Any) -> None:  # noqa: ANN401 - a union of classes has no narrower type
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(kind)
        self._kind = kind

    def decode(self, frame: bytes) -> T:
        try:
            return self._decode(frame)
        except (ValueError, RecursionError) as error:  # msgspec's errors and UnicodeError are ValueErrors
            raise Malformed(f"not a message: {error}") from None

    def _decode(self, frame: bytes) -> T:
        try:
            return self._decoder.decode(frame)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            if b"\\ud" not in frame.lower():
                raise
            value: T = msgspec.convert(json.loads(frame), self._kind)
            return value


class FrameReader:
    """Cuts a stream of bytes into frames. It keeps at most one incomplete frame."""

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._limit = limit
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The frames that are complete now. Raises Malformed for one that is longer than `limit`."""
        self._rest += data
        start = 0
        try:
            while (end := self._rest.find(b"\n", start)) >= 0:
                frame = bytes(self._rest[start:end])
                start = end + 1
                self._check(len(frame))
                yield frame
        finally:
            del self._rest[:start]
        self._check(len(self._rest))

    def _check(self, size: int) -> None:
        if size > self._limit:
            self._rest.clear()
            raise Malformed(f"a frame of {size} bytes or more, the limit is {self._limit}")
