import contextlib
import socket
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.core.model.errors import Malformed
from tinysnitch.kernel.netlink.socket import (
    NLM_F_DUMP_INTR,
    NLM_F_MULTI,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NetlinkMessage,
    NetlinkSocket,
    pack_attribute,
    pack_message,
    parse_attributes,
    parse_error,
    parse_messages,
)

RTM_GETLINK = 18
IFLA_IFNAME = 3
LINK = struct.Struct("=BxHiII")  # struct ifinfomsg
Parts = list[tuple[int, bytes]]
FRAMED = st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=40)), max_size=6)


@given(FRAMED)
def test_messages_come_back_in_order(parts: Parts) -> None:
    buffer = b"".join(pack_message(kind, NLM_F_MULTI, payload, 7) for kind, payload in parts)
    assert list(parse_messages(buffer)) == [NetlinkMessage(kind, NLM_F_MULTI, 7, payload) for kind, payload in parts]


@given(st.dictionaries(st.integers(0, 0x3FFF), st.binary(max_size=40)))
def test_attributes_come_back(attributes: dict[int, bytes]) -> None:
    buffer = b"".join(pack_attribute(kind, payload) for kind, payload in attributes.items())
    assert parse_attributes(buffer) == attributes


def test_flag_bits_of_an_attribute_are_no_part_of_its_type() -> None:
    assert parse_attributes(pack_attribute(0x8000 | 0x4000 | 5, b"x")) == {5: b"x"}


def test_last_message_may_lack_its_padding() -> None:
    assert [message.payload for message in parse_messages(pack_message(1, 0, b"abc")[:-1])] == [b"abc"]


@given(st.binary(max_size=200))
def test_random_bytes_raise_malformed_only(buffer: bytes) -> None:
    parsers: list[Callable[[bytes], object]] = [lambda data: list(parse_messages(data)), parse_attributes, parse_error]
    for parse in parsers:
        with contextlib.suppress(Malformed):
            parse(buffer)


@given(FRAMED.filter(bool), st.data())
def test_broken_frames_raise_malformed_only(parts: Parts, data: st.DataObject) -> None:
    broken = bytearray(b"".join(pack_message(kind, 0, payload) for kind, payload in parts))
    broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Malformed):
        for message in parse_messages(broken):
            parse_attributes(message.payload)


@pytest.mark.parametrize(
    "buffer",
    [
        b"\x10\x00\x00",  # no whole header
        struct.pack("=IHHII", 15, 0, 0, 0, 0),  # shorter than its header: must not loop for ever
        struct.pack("=IHHII", 20, 0, 0, 0, 0),  # longer than the datagram
    ],
)
def test_bad_lengths_of_messages(buffer: bytes) -> None:
    with pytest.raises(Malformed):
        list(parse_messages(buffer))


@pytest.mark.parametrize("buffer", [b"\x04\x00\x00", struct.pack("=HH", 0, 1), struct.pack("=HH", 5, 1)])
def test_bad_lengths_of_attributes(buffer: bytes) -> None:
    with pytest.raises(Malformed):
        parse_attributes(buffer)


def test_dump_and_query_agree_on_loopback() -> None:
    with NetlinkSocket(socket.NETLINK_ROUTE) as netlink:
        links = netlink.dump(RTM_GETLINK, LINK.pack(0, 0, 0, 0, 0))
        one = netlink.query(RTM_GETLINK, LINK.pack(0, 0, 1, 0, 0))
    assert all(message.kind != NLMSG_DONE for message in links)
    assert parse_attributes(one.payload[LINK.size :])[IFLA_IFNAME] == b"lo\0"
    assert one.payload[: LINK.size] in [message.payload[: LINK.size] for message in links]


def test_error_of_the_kernel_is_an_oserror() -> None:
    with NetlinkSocket(socket.NETLINK_ROUTE) as netlink, pytest.raises(OSError, match="ENODEV"):
        netlink.query(RTM_GETLINK, LINK.pack(0, 0, 0x7FFFFFFF, 0, 0))


def test_a_drained_socket_has_nothing_left_to_read() -> None:
    with NetlinkSocket(socket.NETLINK_ROUTE) as netlink:
        netlink.socket.setblocking(False)
        netlink.drain()
        for _ in range(2):
            netlink.socket.send(pack_message(RTM_GETLINK, NLM_F_REQUEST, LINK.pack(socket.AF_UNSPEC, 0, 1, 0, 0)))
        netlink.drain()
        with pytest.raises(BlockingIOError):
            netlink.receive()


class Answers:
    """In place of a socket: the kernel, and perhaps another process, answer each request with what `write` makes of its
    number: datagrams with the port that they come from."""

    def __init__(self, *writes: Callable[[int], list[tuple[int, bytes]]]) -> None:
        self._writes = iter(writes)
        self._waiting: list[tuple[int, bytes]] = []

    def send(self, request: bytes) -> None:
        (message,) = parse_messages(request)
        self._waiting += next(self._writes)(message.sequence)

    def recvmsg_into(self, buffers: list[bytearray]) -> tuple[int, list[object], int, tuple[int, int]]:
        port, datagram = self._waiting.pop(0)
        size = min(len(datagram), len(buffers[0]))
        buffers[0][:size] = datagram[:size]
        return size, [], socket.MSG_TRUNC if size < len(datagram) else 0, (port, 0)

    def close(self) -> None:
        pass


def part(sequence: int, payload: bytes, flags: int = 0) -> bytes:
    return pack_message(RTM_GETLINK, NLM_F_MULTI | flags, payload, sequence)


def end(sequence: int) -> bytes:
    return pack_message(NLMSG_DONE, NLM_F_MULTI, bytes(4), sequence)


def dump_from(*writes: Callable[[int], list[tuple[int, bytes]]]) -> list[bytes]:
    with NetlinkSocket(socket.NETLINK_ROUTE) as netlink:
        netlink.socket.close()
        netlink.socket = Answers(*writes)  # type: ignore[assignment]
        return [message.payload for message in netlink.dump(RTM_GETLINK, b"")]


def test_a_table_that_changed_while_it_was_listed_is_listed_anew() -> None:
    """An entry may be missing."""
    found = dump_from(
        lambda number: [(0, part(number, b"seen", NLM_F_DUMP_INTR) + end(number))],
        lambda number: [(0, part(number, b"seen") + part(number, b"missing") + end(number))],
    )
    assert found == [b"seen", b"missing"]


def test_what_answers_another_request_or_comes_from_another_process_is_no_answer() -> None:
    found = dump_from(
        lambda number: [
            (0, part(number - 1, b"late") + end(number - 1)),
            (4000, part(number, b"forged") + end(number)),
            (0, part(number, b"true") + end(number)),
        ]
    )
    assert found == [b"true"]


def test_a_datagram_that_is_cut_is_malformed() -> None:
    with pytest.raises(Malformed, match="more than"):
        dump_from(lambda number: [(0, bytes(1 << 20) + end(number))])
