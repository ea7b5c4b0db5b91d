"""The kernel's choice of a source address, asked over netlink."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.bpf.packet_place import HERE, THERE, PacketPlace, entered
from tinysnitch.core.model.flow import parse_address
from tinysnitch.kernel.netlink.source_addresses import SourceAddresses

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
