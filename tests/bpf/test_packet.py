"""packet.bpf.h: where the ports are; packets that hide where they go have no flow, so that no verdict covers them."""

import socket
import struct
from ipaddress import IPv6Address

import pytest

from tests.bpf.bpf_place import Agent, BpfPlace
from tests.bpf.test_verdict import LOCAL_PORT, PORT, entry_of, judge, key_of, make_flow, open_bound
from tinysnitch.core.model.flow import UDP, Direction, Flow, parse_address
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.kernel.bpf.programs import BpfPrograms

pytestmark = pytest.mark.privileged

FRAGMENT, AUTHENTICATION, DESTINATION_OPTIONS = 44, 51, 60
PORTS = struct.pack("!HHHH", LOCAL_PORT, PORT, 8, 0)


@pytest.fixture
def outbound(place: BpfPlace, programs: BpfPrograms) -> BpfPrograms:
    judge(place, programs, "OUTPUT")
    return programs


def make_chain(headers: int) -> bytes:
    """Destination options with nothing but padding (RFC 8200 4.2), then UDP. The first one's type is the socket's."""
    kinds = [DESTINATION_OPTIONS] * (headers - 1) + [UDP]
    return b"".join(bytes([kind, 0, 1, 4, 0, 0, 0, 0]) for kind in kinds)


@pytest.mark.parametrize("headers", [1, 8])
def test_ports_are_found_behind_extension_headers(outbound: BpfPrograms, agent: Agent, headers: int) -> None:
    handle, cookie = agent.call("open_socket", "AF_INET6", "SOCK_RAW", DESTINATION_OPTIONS)
    agent.call("send_raw", handle, "::1", list(make_chain(headers) + PORTS))
    assert outbound.find_flow(make_flow(UDP, "::1")) == entry_of(outbound, agent, cookie)


def test_a_packet_with_a_longer_chain_has_no_flow(outbound: BpfPrograms, agent: Agent) -> None:
    handle, _cookie = agent.call("open_socket", "AF_INET6", "SOCK_RAW", DESTINATION_OPTIONS)
    agent.call("send_raw", handle, "::1", list(make_chain(9) + PORTS))
    assert outbound.read_statistics()["misses"] == 0


def test_ports_are_found_behind_an_authentication_header(outbound: BpfPrograms, agent: Agent) -> None:
    """RFC 4302: its length counts words of 4 bytes, less 2. Here there are 4, with a check value of 4 bytes."""
    handle, cookie = agent.call("open_socket", "AF_INET6", "SOCK_RAW", AUTHENTICATION)
    header = struct.pack("!BBHIII", UDP, 2, 0, 7, 1, 0)
    agent.call("send_raw", handle, "::1", list(header + PORTS))
    assert outbound.find_flow(make_flow(UDP, "::1")) == entry_of(outbound, agent, cookie)


@pytest.mark.parametrize("place_in_datagram", [8, 256])
def test_a_fragment_without_ports_is_judged_too(outbound: BpfPrograms, agent: Agent, place_in_datagram: int) -> None:
    """No machine delivers it alone, but a remote in league with its sender can read it."""
    handle, cookie = agent.call("open_socket", "AF_INET6", "SOCK_RAW", FRAGMENT)
    header = struct.pack("!BBHI", UDP, 0, place_in_datagram, 7)
    agent.call("send_raw", handle, "::1", list(header + PORTS))
    local = parse_address("::1")
    found = outbound.find_flow(Flow(UDP, Direction.OUTBOUND, local, 0, local, 0))
    assert found == entry_of(outbound, agent, cookie)


@pytest.mark.parametrize("ends", [("::ffff:127.0.0.1", "::1"), ("::1", "::ffff:127.0.0.1")])
def test_a_packet_with_an_ipv4_mapped_address_has_no_flow(
    outbound: BpfPrograms, agent: Agent, ends: tuple[str, str]
) -> None:
    handle, _cookie = agent.call("open_socket", "AF_INET6", "SOCK_RAW", socket.IPPROTO_RAW)
    header = struct.pack("!IHBB", 6 << 28, len(PORTS), UDP, 64) + b"".join(IPv6Address(end).packed for end in ends)
    assert agent.call("send_raw", handle, "::1", list(header + PORTS)) == ""
    assert outbound.read_statistics()["misses"] == 0


def allow_all(programs: BpfPrograms, agent: Agent, cookie: int, address: str) -> None:
    key = key_of(entry_of(programs, agent, cookie), make_flow(UDP, address))
    programs.remember_verdict(key, Verdict.ALLOW, programs.generation, 0)


@pytest.mark.parametrize("kind", [131, 137])
@pytest.mark.parametrize("front", [b"", b"\x01\x01", b"\x44\x04\x05\x00"])
def test_a_source_route_is_never_allowed(
    place: BpfPlace, outbound: BpfPrograms, agent: Agent, kind: int, front: bytes
) -> None:
    """It goes to 127.0.0.1 first, which is allowed, and from there to 127.0.0.2. Also behind other options."""
    place.run("sysctl", "-qw", "net.ipv4.conf.all.accept_source_route=1")
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1")
    allow_all(outbound, agent, cookie, "127.0.0.1")
    route = bytes([kind, 7, 4]) + socket.inet_aton("127.0.0.1")
    options = front + route + b"\x00" * (-len(front + route) % 4)
    assert agent.call("set_option", handle, "IPPROTO_IP", socket.IP_OPTIONS, list(options)) == ""
    assert agent.call("send_to", handle, "127.0.0.2", PORT) == ""
    assert_refused(outbound)
    assert agent.call("set_option", handle, "IPPROTO_IP", socket.IP_OPTIONS, []) == ""
    assert agent.call("send_to", handle, "127.0.0.1", PORT) == ""
    assert outbound.read_statistics()["hits_allowed"] == 1


@pytest.mark.parametrize("options", [[0x44, 12, 5, 0] + [0] * 8, [1] * 4])
def test_other_options_change_nothing(outbound: BpfPrograms, agent: Agent, options: list[int]) -> None:
    """The bytes after the options are no option, though the port begins like a source route."""
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_DGRAM", "127.0.0.1", 131 << 8)
    allow_all(outbound, agent, cookie, "127.0.0.1")
    assert agent.call("set_option", handle, "IPPROTO_IP", socket.IP_OPTIONS, options) == ""
    assert agent.call("send_to", handle, "127.0.0.1", PORT) == ""
    assert outbound.read_statistics()["hits_allowed"] == 1


def test_a_segment_route_is_never_allowed(outbound: BpfPrograms, agent: Agent) -> None:
    """RFC 8754: it goes to ::1 first, which is allowed, and then to the address that the socket sends to."""
    handle, cookie = open_bound(agent, "AF_INET6", "SOCK_DGRAM", "::1")
    allow_all(outbound, agent, cookie, "::1")
    segments = b"\x00" * 16 + IPv6Address("::1").packed
    header = struct.pack("!BBBBBBH", 0, 4, 4, 1, 1, 0, 0) + segments
    assert agent.call("set_option", handle, "IPPROTO_IPV6", socket.IPV6_RTHDR, list(header)) == ""
    assert agent.call("send_to", handle, "2001:db8::1", PORT) == ""
    assert_refused(outbound)


def assert_refused(programs: BpfPrograms) -> None:
    statistics = programs.read_statistics()
    assert (statistics["hits_allowed"], statistics["misses"]) == (0, 0)
