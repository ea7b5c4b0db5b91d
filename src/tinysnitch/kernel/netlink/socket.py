"""Netlink framing (netlink(7), RFC 3549) and a socket that asks and listens: the one place for both.

Bytes become messages and attributes here; what cannot be framed raises Malformed and nothing else.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator
from itertools import islice
from typing import Self

import msgspec

from tinysnitch.core.model.errors import Malformed

NLMSG_NOOP = 1
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 0x01
NLM_F_MULTI = 0x02
NLM_F_ACK = 0x04
NLM_F_DUMP_INTR = 0x10
NLM_F_DUMP = 0x300
SOL_NETLINK = 270  # these three: include/uapi/linux/{socket,netlink}.h; Python has no names for them
NETLINK_NO_ENOBUFS = 5
NETLINK_NETFILTER = 12

HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port id
ATTRIBUTE = struct.Struct("=HH")  # struct nlattr: length, type
NETFILTER_HEADER = struct.Struct("!BBH")  # struct nfgenmsg: family, version, resource id
# struct rtmsg: family, lengths of destination and source, tos, table, protocol, scope, type, flags
ROUTE_HEADER = struct.Struct("=8BI")
_ERRNO = struct.Struct("=i")
_TYPE_MASK = 0x3FFF  # NLA_TYPE_MASK: without NLA_F_NESTED and NLA_F_NET_BYTEORDER
_MAX_DUMP_ATTEMPTS = 5
_RECEIVE_SIZE = 256 * 1024  # netlink_dump() sends at most 32 KiB at once; a datagram longer than ours would be cut
Buffer = bytes | bytearray | memoryview


class NetlinkMessage(msgspec.Struct, frozen=True, gc=False):
    kind: int  # nlmsg_type
    flags: int
    sequence: int
    payload: bytes


def parse_messages(buffer: Buffer) -> Iterator[NetlinkMessage]:
    """The messages of one datagram, in order. Raises Malformed."""
    view, offset, end = memoryview(buffer), 0, len(buffer)
    while offset < end:
        if end - offset < HEADER.size:
            raise Malformed(f"netlink: {end - offset} bytes left, too few for a header")
        length, kind, flags, sequence, _port_id = HEADER.unpack_from(view, offset)
        if not HEADER.size <= length <= end - offset:
            raise Malformed(f"netlink: a message of {length} bytes in {end - offset}")
        yield NetlinkMessage(kind, flags, sequence, bytes(view[offset + HEADER.size : offset + length]))
        offset += length + 3 & ~3


def parse_attributes(buffer: Buffer) -> dict[int, bytes]:
    """Type → payload; of equal types the last counts, as in the kernel's nla_parse(). Raises Malformed."""
    found: dict[int, bytes] = {}
    offset, end = 0, len(buffer)
    while offset < end:
        if end - offset < ATTRIBUTE.size:
            raise Malformed(f"netlink: {end - offset} bytes left, too few for an attribute")
        length, kind = ATTRIBUTE.unpack_from(buffer, offset)
        if not ATTRIBUTE.size <= length <= end - offset:
            raise Malformed(f"netlink: an attribute of {length} bytes in {end - offset}")
        found[kind & _TYPE_MASK] = bytes(buffer[offset + ATTRIBUTE.size : offset + length])
        offset += length + 3 & ~3
    return found


def pack_message(kind: int, flags: int, payload: bytes, sequence: int = 0) -> bytes:
    length = HEADER.size + len(payload)
    return HEADER.pack(length, kind, flags, sequence, 0) + payload + bytes(-length % 4)


def pack_attribute(kind: int, payload: bytes) -> bytes:
    return ATTRIBUTE.pack(ATTRIBUTE.size + len(payload), kind) + payload + bytes(-len(payload) % 4)


def parse_error(payload: Buffer) -> int:
    """The errno of an NLMSG_ERROR or NLMSG_DONE, 0 for an acknowledgement. Raises Malformed."""
    if len(payload) < _ERRNO.size:
        raise Malformed("netlink: an error without a number")
    (number,) = _ERRNO.unpack_from(payload)
    return -int(number)


class NetlinkSocket:
    """One AF_NETLINK socket of the calling thread's network namespace. Errors of the kernel come as OSError."""

    def __init__(self, protocol: int, groups: int = 0) -> None:
        self._sequence = 0
        self._buffer = bytearray(_RECEIVE_SIZE)
        self._view = memoryview(self._buffer)
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        try:
            self.socket.bind((0, groups))
        except OSError:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        return self.socket.fileno()

    def close(self) -> None:
        self.socket.close()

    def receive(self) -> memoryview:
        """The next datagram, valid until the next call. BlockingIOError if there is none, on a non-blocking socket."""
        size, _ancillary, flags, address = self.socket.recvmsg_into([self._buffer])
        if flags & socket.MSG_TRUNC:
            raise Malformed(f"netlink: a datagram of more than {_RECEIVE_SIZE} bytes")
        # Any process may send unicast netlink to us (only with CAP_NET_ADMIN on most protocols); the kernel is port 0.
        return self._view[: size if address[0] == 0 else 0]

    def drain(self) -> None:
        """Drop all that came, on a non-blocking socket: for listeners to whom it matters only that there is news."""
        while True:
            try:
                self.socket.recv(1)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # more news than fits is still news
                    raise

    def query(self, kind: int, payload: bytes) -> NetlinkMessage:
        """Ask for one thing and return the one answer. Raises Malformed when there is none."""
        sequence = self._send(kind, NLM_F_REQUEST, payload)
        for message in self._receive_answers(sequence):
            if message.kind != NLMSG_ERROR:
                return message
            _raise_error(message)
        raise Malformed("netlink: acknowledged without an answer")

    def request(self, kind: int, payload: bytes) -> list[NetlinkMessage]:
        """Send a request and wait for its acknowledgement; returns other messages that came meanwhile."""
        sequence = self._send(kind, NLM_F_REQUEST | NLM_F_ACK, payload)
        others: list[NetlinkMessage] = []
        while True:
            messages = list(parse_messages(self.receive()))
            others += [message for message in messages if message.sequence != sequence]
            answers = [message for message in messages if message.sequence == sequence and message.kind == NLMSG_ERROR]
            if answers:
                _raise_error(answers[0])
                return others

    def dump(self, kind: int, payload: bytes, most: int | None = None) -> list[NetlinkMessage]:
        """All entries, or the first `most`. Asked anew when the table changed meanwhile (NLM_F_DUMP_INTR), a few times.

        If there are more than `most`, the socket can ask for nothing else afterwards (EBUSY).
        """
        for _ in range(_MAX_DUMP_ATTEMPTS):
            sequence = self._send(kind, NLM_F_REQUEST | NLM_F_DUMP, payload)
            messages = list(islice(self._receive_parts(sequence), most))
            if len(messages) == most or not any(message.flags & NLM_F_DUMP_INTR for message in messages):
                break
        return [message for message in messages if message.kind != NLMSG_DONE]

    def _send(self, kind: int, flags: int, payload: bytes) -> int:
        self._sequence = self._sequence % 0xFFFFFFFF + 1
        self.socket.send(pack_message(kind, flags, payload, self._sequence))
        return self._sequence

    def _receive_answers(self, sequence: int) -> Iterator[NetlinkMessage]:
        answered = False
        while not answered:
            for message in parse_messages(self.receive()):
                if message.sequence == sequence:
                    answered = True
                    yield message

    def _receive_parts(self, sequence: int) -> Iterator[NetlinkMessage]:
        while True:
            for message in parse_messages(self.receive()):
                if message.sequence != sequence or message.kind == NLMSG_NOOP:
                    continue
                if message.kind in (NLMSG_ERROR, NLMSG_DONE):
                    _raise_error(message)
                yield message
                if message.kind in (NLMSG_ERROR, NLMSG_DONE) or not message.flags & NLM_F_MULTI:
                    return


def _raise_error(message: NetlinkMessage) -> None:
    number = parse_error(message.payload)
    if number:
        raise OSError(number, f"{os.strerror(number)} ({errno.errorcode.get(number, number)})")
