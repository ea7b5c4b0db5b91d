"""Which interface has an address, by the real kernel over netlink."""

import socket

import pytest

from tests.bpf.packet_place import HERE, PacketPlace, entered
from tinysnitch.core.model.flow import parse_address
from tinysnitch.kernel.netlink.home_interface import LOOPBACK, find_home
from tinysnitch.kernel.netlink.socket import NetlinkSocket

pytestmark = pytest.mark.privileged


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_interface_that_has_the_address_though_the_way_there_is_by_lo(
    packet_place: PacketPlace, family: socket.AddressFamily
) -> None:
    with entered(packet_place.here), NetlinkSocket(socket.NETLINK_ROUTE) as netlink:
        assert find_home(netlink, parse_address(HERE[family])) == socket.if_nametoindex("eth0")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "203.0.113.1", "2001:db8::1"])
def test_lo_has_its_own_and_what_nobody_has(packet_place: PacketPlace, address: str) -> None:
    with entered(packet_place.here), NetlinkSocket(socket.NETLINK_ROUTE) as netlink:
        assert find_home(netlink, parse_address(address)) == LOOPBACK
