"""Reads what systemd-resolved answers to any program, also from its cache and from encrypted DNS.

It tells root over a socket (varlink), as `resolvectl monitor` shows, a moment after the program has its answer.
"""

import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec

from tinysnitch.core.dns.wire import AAAA, CNAME, IN, MAX_WIRE_TTL_S, A
from tinysnitch.core.model.errors import Malformed

RESOLVED_MONITOR = Path("/run/systemd/resolve/io.systemd.Resolve.Monitor")
MAX_BYTES = 1 << 20  # of one message: far more than an answer takes that is learned (MAX_MESSAGE_BYTES of dns_wire.py)
_READ_BYTES = 1 << 18  # at once: more than a socket holds by default, which are some 700 answers in 12 ms

_SUBSCRIBE = b'{"method":"io.systemd.Resolve.Monitor.SubscribeQueryResults","more":true}\0'
_END = b"\0"
_HEADER = struct.Struct("!6H")
_QUESTION = struct.Struct("!HH")
_RECORD = struct.Struct("!HHIH")  # type, class, TTL, size
_IS_ANSWER = 0x8180
# Names with other characters are written with backslashes. No host has such a name, so none is learned.
_NAME = re.compile(r"([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?", re.ASCII)


class _Question(msgspec.Struct):
    name: str
    type: int


class _Record(msgspec.Struct):
    raw: bytes = b""  # in wire format


class _Result(msgspec.Struct, rename="camel"):
    state: str = ""
    question: list[_Question] = []
    # The questions before that one. If an alias is known from an earlier answer (most live longer than the addresses
    # that they lead to), systemd-resolved asks for what it leads to, and tells the answer to that alone.
    collected_questions: list[_Question] = []
    answer: list[_Record] = []


class _Reply(msgspec.Struct):
    error: str = ""
    parameters: _Result = msgspec.field(default_factory=_Result)


class ResolvedMonitor:
    """Readable when something was answered."""

    def __init__(self, path: Path) -> None:
        """Raises OSError where there is none."""
        self._rest = b""
        self._is_too_long = False  # the beginning of this message was dropped
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.setblocking(False)
            self._socket.connect(str(path))
            self._socket.sendall(_SUBSCRIBE)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def read(self) -> list[bytes]:
        """The answers since the last call, as DNS messages, with b"" in place of one that is too long.

        Raises Malformed, and EOFError at the end.
        """
        try:
            received = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return []
        except ConnectionError:
            received = b""
        if not received:
            raise EOFError
        *replies, self._rest = (self._rest + received).split(_END)
        left_out = []
        if replies and self._is_too_long:
            left_out, replies, self._is_too_long = [b""], replies[1:], False
        if len(self._rest) > MAX_BYTES:
            self._rest, self._is_too_long = b"", True
        once = reversed(dict.fromkeys(reversed(replies)))  # of equal ones the last: it makes a name the newest
        return left_out + [message for reply in once for message in parse_reply(reply)]


def parse_reply(reply: bytes) -> list[bytes]:
    """A DNS message for each question for addresses that was answered. Raises Malformed."""
    try:
        read = msgspec.json.decode(reply, type=_Reply)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"systemd-resolved says {error}") from None
    if read.error:
        raise Malformed(f"systemd-resolved says {read.error}")
    return list(_messages(read.parameters)) if read.parameters.state == "success" else []


def _messages(result: _Result) -> Iterator[bytes]:
    records = b"".join(record.raw for record in result.answer)
    for question in result.question:
        asked, *aliases = _way_to(question, result.collected_questions)
        if question.type in (A, AAAA) and _NAME.fullmatch(asked):
            header = _HEADER.pack(0, _IS_ANSWER, 1, len(aliases) + len(result.answer), 0, 0)
            led = b"".join(map(_write_alias, [asked, *aliases], aliases))
            yield header + _write_name(asked) + _QUESTION.pack(question.type, IN) + led + records


def _way_to(question: _Question, before: list[_Question]) -> list[str]:
    """The name that was asked for, and the aliases from there to the question's name."""
    asked, *aliases = dict.fromkeys(each.name for each in (*before, question) if each.type == question.type)
    return [asked, *filter(_NAME.fullmatch, aliases)]


def _write_alias(owner: str, alias: str) -> bytes:
    value = _write_name(alias)
    return _write_name(owner) + _RECORD.pack(CNAME, IN, MAX_WIRE_TTL_S, len(value)) + value


def _write_name(name: str) -> bytes:
    labels = name.removesuffix(".").encode().split(b".")
    return b"".join(bytes([len(label)]) + label for label in (*labels, b""))
