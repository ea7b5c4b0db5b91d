""""""

import contextlib
import errno
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import closing
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bpf.packet_place import HERE, THERE, PacketPlace, entered
from tests.lab.patience import wait_until
from tests.shortage import descriptors_left
from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.flow import format_address, parse_address
from tinysnitch.core.rules.network import parse_network
from tinysnitch.kernel.netlink.addresses import (
    MAX_LINKED,
    AddressNews,
    OwnAddresses,
    SourceAddresses,
    parse_address_message,
    parse_linked_network,
    read_addresses,
)
from tinysnitch.kernel.netlink.socket import NetlinkMessage, NetlinkSocket, pack_attribute

LINK_ONLY = {
    parse_network(net)
    for net in ("0.0.0.0/32", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32", "fe80::/10", "ff00::/8")
}


def read_in(place: PacketPlace) -> OwnAddresses:
    with entered(place.here):
        return read_addresses()


def message_of(
    *attributes: tuple[int, bytes], family: int = socket.AF_INET, prefix: int = 24, flags: int = 0
) -> NetlinkMessage:
    body = struct.pack("=BBBBI", family, prefix, flags, 0, 1) + b"".join(pack_attribute(*each) for each in attributes)
    return NetlinkMessage(20, 0, 0, body)


@pytest.fixture
def news(packet_place: PacketPlace) -> Iterator[AddressNews]:
    with entered(packet_place.here), contextlib.closing(AddressNews()) as made:
        yield made


@pytest.mark.privileged
def test_own_addresses_and_networks(packet_place: PacketPlace) -> None:
    packet_place.run("ip", "link", "set", "eth0", "addrgenmode", "none")
    found = read_in(packet_place)
    own = {format_address(packed) for packed in found.own}
    assert {"127.0.0.1", "::1", "10.88.0.1", "fd88::1"} <= own
    assert all(address.startswith("fe80:") for address in own - {"127.0.0.1", "::1", "10.88.0.1", "fd88::1"})
    assert {parse_network("10.88.0.0/24"), parse_network("fd88::/64")} | LINK_ONLY <= set(found.lan)
    assert {parse_network("127.0.0.0/8"), parse_network("::1")}.isdisjoint(found.lan)
    assert found == read_in(packet_place)


@pytest.mark.privileged
def test_a_point_to_point_link_has_our_address_and_the_network_of_the_peer(packet_place: PacketPlace) -> None:
    packet_place.run("ip", "address", "add", "10.9.0.1", "peer", "10.9.0.77/32", "dev", "eth0")
    found = read_in(packet_place)
    assert "10.9.0.1" in {format_address(packed) for packed in found.own}
    assert parse_network("10.9.0.77/32") in found.lan


@pytest.mark.privileged
@pytest.mark.parametrize(
    ("route", "is_linked"),
    [
        ("fd98::/64 dev eth0 proto ra", True),
        ("fd98::/64 dev eth0 proto kernel", True),
        ("fd98::/64 via fd88::2 proto ra", False),
        ("fd98::/64 proto ra nexthop via fd88::2 nexthop via fd88::3", False),
        ("fd98::/64 dev eth0 proto static", False),  # as into a tunnel
        ("unreachable fd98::/64 proto ra", False),
        ("default dev eth0 proto ra", False),
    ],
)
def test_a_network_that_a_router_says_is_on_the_link(packet_place: PacketPlace, route: str, is_linked: bool) -> None:
    before = read_in(packet_place)
    packet_place.run("ip", "-6", "route", "add", *route.split())
    after = read_in(packet_place)
    assert after.own == before.own
    assert set(after.lan) - set(before.lan) == ({parse_network("fd98::/64")} if is_linked else set())


@pytest.mark.privileged
@pytest.mark.parametrize(
    "given",
    [
        "route add ::ffff:0:0/96 dev eth0 proto ra",
        "route add ::ffff:198.51.100.0/120 dev eth0 proto kernel",
        "address add ::ffff:198.51.100.7/120 dev eth0 nodad",
    ],
)
def test_nobody_gives_ipv4_by_ipv6(packet_place: PacketPlace, given: str) -> None:
    """IPv4 addresses look like these in our keys: all of the Internet would be `lan`, or `localhost`."""
    before = read_in(packet_place)
    packet_place.run("ip", "-6", *given.split())
    assert read_in(packet_place) == before


@pytest.mark.privileged
@pytest.mark.parametrize("maker", ["kernel", "ra"])
def test_a_router_that_announces_networks_without_end(packet_place: PacketPlace, maker: str) -> None:
    before = read_in(packet_place)
    announced = [f"fd98:{number:x}::/64" for number in range(2 * MAX_LINKED)]
    routes = "".join(f"route add {each} dev eth0 proto {maker}\n" for each in announced)
    packet_place.run("ip", "-6", "-batch", "-", text=routes)
    after = read_in(packet_place)
    assert after.own == before.own
    added = set(after.lan) - set(before.lan)
    assert MAX_LINKED // 2 < len(added) <= MAX_LINKED
    assert added < set(map(parse_network, announced))


@pytest.mark.privileged
def test_an_address_that_is_looked_for_first_is_ours_once_nobody_has_it(
    packet_place: PacketPlace, news: AddressNews
) -> None:
    packet_place.run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/eth0/accept_dad")
    news.drain()
    packet_place.run("ip", "address", "add", "fd99::1/64", "dev", "eth0")
    before = read_in(packet_place)
    assert "fd99::1" not in {format_address(packed) for packed in before.own}
    assert parse_network("fd99::/64") in before.lan
    while "fd99::1" not in {format_address(packed) for packed in read_in(packet_place).own}:
        assert select.select([news], [], [], 60)[0] == [news]
        news.drain()


def is_silent(news: AddressNews) -> bool:
    news.drain()
    return not select.select([news], [], [], 0)[0]


@pytest.mark.privileged
def test_a_change_of_addresses_and_links_is_news(packet_place: PacketPlace, news: AddressNews) -> None:
    for change in (
        ["address", "add", "10.9.0.1/24", "dev", "eth0"],
        ["address", "add", "fd99::1/64", "dev", "eth0"],
        ["link", "set", "lo", "mtu", "9000"],
        ["-6", "route", "add", "fd98::/64", "dev", "eth0", "proto", "ra"],
        ["-6", "route", "del", "fd98::/64", "dev", "eth0", "proto", "ra"],
    ):
        wait_until(lambda: is_silent(news))  # the kernel may tell more of the change before by and by
        packet_place.run("ip", *change)
        assert select.select([news], [], [], 60)[0] == [news]


@pytest.mark.privileged
def test_interfaces_have_names_until_they_change(packet_place: PacketPlace, news: AddressNews) -> None:
    index = socket.if_nametoindex("eth0")
    assert [news.find_interface(number) for number in (0, 1, index, 9999)] == ["", "lo", "eth0", ""]
    packet_place.run("ip", "link", "set", "eth0", "down")
    packet_place.run("ip", "link", "set", "eth0", "name", "lan0")
    news.drain()
    assert news.find_interface(index) == "lan0"


def test_a_name_that_cannot_be_told_now_is_not_taken_for_none(news: AddressNews) -> None:
    with descriptors_left(0), pytest.raises(OSError):  # noqa: PT011 - glibc says that there is no such file
        news.find_interface(1)
    assert news.find_interface(1) == "lo"


def fifty_addresses(second: int) -> str:
    return "".join(f"address add 10.{second}.{third}.1/24 dev eth0\n" for third in range(50))


@pytest.mark.privileged
def test_more_news_than_fits_is_still_news(packet_place: PacketPlace, news: AddressNews) -> None:
    with socket.fromfd(news.fileno(), socket.AF_NETLINK, socket.SOCK_RAW) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    packet_place.run("ip", "-batch", "-", text=fifty_addresses(9))
    with pytest.raises(OSError, match="No buffer space") as full:
        news.receive()
    assert full.value.errno == errno.ENOBUFS
    packet_place.run("ip", "-batch", "-", text=fifty_addresses(10))
    news.drain()
    assert select.select([news], [], [], 0)[0] == []


@pytest.mark.parametrize(
    ("maker", "is_linked"), [(2, True), (9, True), (3, False), (4, False)]
)  # the kernel, a router, a program at boot, an administrator: include/uapi/linux/rtnetlink.h
def test_whose_routes_say_what_is_on_the_link(maker: int, is_linked: bool) -> None:
    """Even if the kernel lists addresses of other families."""
    network = parse_network("2001:db8::/64")
    route = struct.pack("=8BI", socket.AF_INET6, 64, 0, 0, 254, maker, 0, 1, 0)
    message = NetlinkMessage(24, 0, 0, route + pack_attribute(1, bytes.fromhex("20010db8") + bytes(12)))
    assert parse_linked_network(message) == (network if is_linked else None)


@pytest.mark.privileged
def test_addresses_of_other_families_are_passed_over(
    packet_place: PacketPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dump of all families has MCTP's addresses, too, of one byte (mctp_fill_addrinfo())."""
    before, dump = read_in(packet_place), NetlinkSocket.dump

    def dump_more(asking: NetlinkSocket, *asked: Any) -> list[NetlinkMessage]:  # noqa: ANN401  (as dump() has it)
        return [*dump(asking, *asked), message_of((1, b"\x08"), (2, b"\x08"), family=45, prefix=0)]

    monkeypatch.setattr(NetlinkSocket, "dump", dump_more)
    assert read_in(packet_place) == before


@pytest.mark.privileged
def test_a_kernel_without_ipv6_tells_of_the_routes_that_it_has(packet_place: PacketPlace) -> None:
    """With `ipv6.disable=1` nobody answers for that family, and whoever asks gets all (rtnetlink_rcv_msg(),
    rtnl_dump_all())."""
    with entered(packet_place.here), NetlinkSocket(socket.NETLINK_ROUTE) as netlink:
        routes = netlink.dump(26, struct.pack("=8BI", socket.AF_UNSPEC, *bytes(8)))
    of_ipv4 = [route for route in routes if route.payload[0] == socket.AF_INET]
    assert of_ipv4
    assert set(map(parse_linked_network, of_ipv4)) == {None}


def test_a_message_is_parsed() -> None:
    message = message_of((1, bytes([10, 0, 0, 9])), (2, bytes([10, 0, 0, 1])))
    assert parse_address_message(message) == (IPv4Address("10.0.0.1"), parse_network("10.0.0.0/24"), True)


@pytest.mark.parametrize(
    ("flags", "is_ours"),
    [  # permanent, tentative, failed, a temporary one that is tentative, optimistic
        (0x80, True),
        (0x40, False),
        (0x48, False),
        (0x41, False),
        (0x44, True),
    ],
)
def test_an_address_is_ours_once_it_is_used(flags: int, is_ours: bool) -> None:
    message = message_of((1, bytes(16)), family=socket.AF_INET6, prefix=64, flags=flags)
    assert parse_address_message(message)[2] == is_ours


@pytest.mark.parametrize(
    "message",
    [
        message_of(),
        message_of((2, b"abc")),
        message_of((2, bytes(4)), prefix=33),
        message_of((2, bytes(4)), family=socket.AF_INET6),
        NetlinkMessage(20, 0, 0, b""),
    ],
)
def test_a_wrong_message_is_malformed(message: NetlinkMessage) -> None:
    with pytest.raises(Malformed):
        parse_address_message(message)


@given(st.binary(max_size=80), st.sampled_from([socket.AF_INET, socket.AF_INET6, 0]), st.binary(max_size=20))
def test_random_bytes_are_malformed_at_worst(data: bytes, family: int, address: bytes) -> None:
    for message in (NetlinkMessage(20, 0, 0, data), message_of((1, address), (2, data[:16]), family=family)):
        for parse in (parse_address_message, parse_linked_network):
            with contextlib.suppress(Malformed):
                parse(message)


pytestmark = pytest.mark.privileged

FAMILIES = pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])


@pytest.fixture
def sources(packet_place: PacketPlace) -> Iterator[SourceAddresses]:
    with entered(packet_place.here), closing(SourceAddresses()) as opened:
        yield opened


@FAMILIES
def test_the_address_of_the_interface(sources: SourceAddresses, family: int) -> None:
    assert sources.find(parse_address(THERE[family]), socket.if_nametoindex("eth0")) == parse_address(HERE[family])


@FAMILIES
def test_where_no_route_leads_there_is_none(sources: SourceAddresses, family: int) -> None:
    assert sources.find(parse_address(THERE[family]), 2**31 - 1) is None
