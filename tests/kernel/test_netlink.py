import contextlib
import socket
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.core.errors import Malformed
from tinysnitch.kernel.netlink import (
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
