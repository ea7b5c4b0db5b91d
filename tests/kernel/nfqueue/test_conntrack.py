"""Conntrack asked by a real netlink socket, about real flows through nat rules."""

import errno
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.bpf.packet_place import HERE, THERE, PacketPlace, entered
from tinysnitch.core.model.flow import ICMP, ICMPV6, TCP, UDP, Direction, Flow, parse_address
from tinysnitch.kernel.netlink.socket import NetlinkSocket
from tinysnitch.kernel.nfqueue.nat_replies import Conntrack

pytestmark = pytest.mark.privileged

V4, V6 = socket.AF_INET, socket.AF_INET6
MADE_UP = {V4: "192.0.2.53", V6: "2001:db8::53"}
FAMILIES = pytest.mark.parametrize("family", [V4, V6])


@pytest.fixture
def conntrack(packet_place: PacketPlace) -> Iterator[Conntrack]:
    """A place where packets to MADE_UP go to THERE."""
    place = packet_place
    for family, iptables in ((V4, "iptables"), (V6, "ip6tables")):
        place.run("ip", "route", "add", MADE_UP[family], "via", THERE[family])
        place.run(iptables, "-t", "nat", "-A", "OUTPUT", "-d", MADE_UP[family], "-j", "DNAT", "--to", THERE[family])
    with entered(place.here):
        opened = Conntrack()
    yield opened
    opened.close()


def make_flow(protocol: int, direction: Direction, family: int, remote: str, ports: tuple[int, int]) -> Flow:
    return Flow(protocol, direction, parse_address(HERE[family]), ports[0], parse_address(remote), ports[1])


@FAMILIES
def test_an_answer_from_a_translated_address(packet_place: PacketPlace, conntrack: Conntrack, family: int) -> None:
    client = packet_place.open_socket(packet_place.here, family, socket.SOCK_DGRAM, (HERE[family], 4000))
    client.sendto(b"x", (MADE_UP[family], 5000))
    asked = conntrack.find_asked(make_flow(UDP, Direction.INBOUND, family, THERE[family], (4000, 5000)))
    assert asked == make_flow(UDP, Direction.OUTBOUND, family, MADE_UP[family], (4000, 5000))


@FAMILIES
def test_what_was_not_translated_or_is_not_known(packet_place: PacketPlace, conntrack: Conntrack, family: int) -> None:
    client = packet_place.open_socket(packet_place.here, family, socket.SOCK_DGRAM, (HERE[family], 4000))
    client.sendto(b"x", (THERE[family], 5000))
    for ports in ((4000, 5000), (4000, 5001)):
        assert conntrack.find_asked(make_flow(UDP, Direction.INBOUND, family, THERE[family], ports)) is None
    assert conntrack.find_asked(make_flow(TCP, Direction.INBOUND, family, THERE[family], (4000, 5000))) is None


@FAMILIES
def test_an_echo_is_found_by_its_identifier(packet_place: PacketPlace, conntrack: Conntrack, family: int) -> None:
    protocol = ICMP if family == V4 else ICMPV6
    packet_place.run("ping", "-c1", "-W5", "-e", "77", MADE_UP[family])
    asked = conntrack.find_asked(make_flow(protocol, Direction.INBOUND, family, THERE[family], (77, 0)))
    assert asked == make_flow(protocol, Direction.OUTBOUND, family, MADE_UP[family], (77, 0))


def test_where_nobody_can_be_asked_nothing_is_known(packet_place: PacketPlace, conntrack: Conntrack) -> None:
    assert packet_place
    conntrack.close()
    assert conntrack.find_asked(make_flow(UDP, Direction.INBOUND, V4, THERE[V4], (4000, 5000))) is None


@pytest.mark.parametrize(("number", "asked"), [(errno.EINVAL, 1), (errno.ENOMEM, 3), (errno.ENOENT, 3)])
def test_only_where_there_is_no_conntrack_nothing_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, number: int, asked: int
) -> None:
    tries: list[int] = []

    def fail(*_what: object) -> None:
        tries.append(number)
        raise OSError(number, "")

    monkeypatch.setattr(NetlinkSocket, "query", fail)
    with closing(Conntrack()) as opened:
        answer = Flow(UDP, Direction.INBOUND, parse_address(HERE[V4]), 40000, parse_address(THERE[V4]), 53)
        assert [opened.find_asked(answer) for _ in range(3)] == [None] * 3
    assert len(tries) == asked
