"""A packet from the IP header up to the ports: IPv4, IPv6 with its extension headers, TCP, UDP, ICMP, fragments.

What is not valid raises Malformed, and nothing else is raised. A queue may hand over only the first bytes of a packet,
so no length field counts beyond the bytes that are there; bytes behind the length in the IP header are left out.

A segment of TCP (RFC 9293 3.1) also says where in its stream its bytes belong, and whether it opens or ends the stream.
"""

from struct import Struct

import msgspec

from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.flow import ICMP, ICMPV6, TCP, UDP, V4_PREFIX, Direction, Flow

MAX_EXTENSION_HEADERS = 8  # RFC 8200 4.1 lists seven; a longer chain only serves to hide the transport header

_V4 = Struct("!BxHxxHxBxx4s4s")  # version and header length, total length, flags and offset, protocol, addresses
_V6 = Struct("!BxxxHBx16s16s")  # version, payload length, next header, addresses
_PORTS = Struct("!HH")
_UDP = Struct("!HHH")  # ports, length
_ICMP = Struct("!B3xH")  # type, identifier
_EXTENSION = Struct("!BBxB")  # next header, length, segments left (routing)
_FRAGMENT = Struct("!BxH")  # next header, offset and more-fragments bit

_SEGMENT = Struct("!4xIIxB")  # ports; sequence and acknowledgement number; data offset; flags
_FIN, _SYN, _RST, _ACK = 0x01, 0x02, 0x04, 0x10

_V4_HEADER, _V6_HEADER, _TCP_HEADER, _UDP_HEADER, _ICMP_HEADER = 20, 40, 20, 8, 8
_END_OF_OPTIONS, _NO_OPERATION = 0, 1  # the options without a length (RFC 791 3.1)
_SOURCE_ROUTES = frozenset((131, 137))  # loose, strict
_V4_OFFSET, _V4_MORE_OR_OFFSET = 0x1FFF, 0x3FFF
_V6_OFFSET, _V6_MORE_OR_OFFSET = 0xFFF8, 0xFFF9

# IANA numbers of the IPv6 extension headers that the kernel walks over (ipv6_skip_exthdr() in net/ipv6/exthdrs_core.c)
_HOP_BY_HOP, _ROUTING, _FRAGMENT_HEADER, _AUTHENTICATION, _DESTINATION_OPTIONS = 0, 43, 44, 51, 60
_EXTENSIONS = frozenset((_HOP_BY_HOP, _ROUTING, _FRAGMENT_HEADER, _AUTHENTICATION, _DESTINATION_OPTIONS))

_ECHO = {ICMP: (8, 0), ICMPV6: (128, 129)}  # request, reply


class Packet(msgspec.Struct, frozen=True):
    """Addresses are packed (flow.py). Ports are 0 if there are none; `source_port` of ICMP echo is its identifier."""

    protocol: int
    source: bytes
    destination: bytes
    source_port: int
    destination_port: int
    payload_offset: int  # where the payload of TCP or UDP begins; else what follows the IP headers
    payload_end: int
    is_fragment: bool = False  # a part of a larger packet; only the first part has ports
    is_echo: bool = False
    transport_offset: int = 0  # where TCP's header begins; 0 for other protocols
    is_routed: bool = False  # TCP over IPv6: a routing header led to the destination


class _Internet(msgspec.Struct):
    """What the IP headers say: the addresses, and where the transport header is."""

    protocol: int
    source: bytes
    destination: bytes
    offset: int
    end: int
    is_fragment: bool = False
    has_transport: bool = True  # False in all fragments but the first
    is_routed: bool = False


def parse_packet(payload: bytes | memoryview) -> Packet:
    """The packet that begins with its IP header."""
    if not payload:
        raise Malformed("empty packet")
    version = payload[0] >> 4
    if version == 4:
        found = _parse_v4(payload)
    elif version == 6:
        found = _parse_v6(payload)
    else:
        raise Malformed(f"IP version {version}")
    protocol = found.protocol
    if found.offset > found.end:
        raise Malformed("IPv6 extension header is cut short")
    if not found.has_transport:
        return _without_ports(found)
    if protocol == TCP:
        return _parse_tcp(payload, found)
    if protocol == UDP:
        return _parse_udp(payload, found)
    if protocol in (ICMP, ICMPV6):
        return _parse_icmp(payload, found)
    return _without_ports(found)


def flow_of(packet: Packet, direction: Direction) -> Flow:
    """The flow as in `struct flow_key` of tinysnitch.h: ICMP echo has its identifier as port, other ICMP 0."""
    source, destination = packet.source_port, packet.destination_port
    if direction is Direction.OUTBOUND:
        return Flow(packet.protocol, direction, packet.source, source, packet.destination, destination)
    if packet.is_echo:
        source, destination = destination, source
    return Flow(packet.protocol, direction, packet.destination, destination, packet.source, source)


def payload_of(packet: Packet, payload: bytes | memoryview) -> bytes:
    """What the transport carries, out of the bytes that the packet was parsed from."""
    return bytes(payload[packet.payload_offset : packet.payload_end])


def whole_size(packet: Packet, payload: bytes | memoryview) -> int:
    """How many bytes of payload the UDP header announces; a first fragment holds fewer."""
    *_ports, length = _UDP.unpack_from(payload, packet.payload_offset - _UDP_HEADER)
    return int(length) - _UDP_HEADER


def _parse_v4(payload: bytes | memoryview) -> _Internet:
    size = len(payload)
    if size < _V4_HEADER:
        raise Malformed(f"IPv4 header of {size} bytes")
    version, total, fragment, protocol, source, destination = _V4.unpack_from(payload)
    offset = (version & 15) * 4
    # Total length 0: a segment that the network card is to cut, larger than the field can say (net/ipv4/ip_output.c).
    end = min(size, total) if total else size
    if not _V4_HEADER <= offset <= end:
        raise Malformed(f"IPv4 header of {offset} bytes in a packet of {end}")
    if offset > _V4_HEADER:
        _refuse_source_route(payload, offset)
    found = _Internet(protocol, V4_PREFIX + source, V4_PREFIX + destination, offset, end)
    if fragment & _V4_MORE_OR_OFFSET:
        found.is_fragment = True
        found.has_transport = not fragment & _V4_OFFSET
    return found


def _refuse_source_route(payload: bytes | memoryview, end: int) -> None:
    at = _V4_HEADER
    while at < end and (kind := payload[at]) != _END_OF_OPTIONS:
        if kind in _SOURCE_ROUTES:
            # The address in the IP header is only the next stop; any program may set this (IP_OPTIONS, ip(7)).
            raise Malformed("a source route hides the true destination")
        at += 1 if kind == _NO_OPERATION else _option_size(payload, at, end)


def _option_size(payload: bytes | memoryview, at: int, end: int) -> int:
    size = payload[at + 1] if at + 1 < end else 0
    if not 2 <= size <= end - at:
        raise Malformed("IPv4 option of a wrong length")
    return size


def _parse_v6(payload: bytes | memoryview) -> _Internet:
    size = len(payload)
    if size < _V6_HEADER:
        raise Malformed(f"IPv6 header of {size} bytes")
    _version, length, following, source, destination = _V6.unpack_from(payload)
    # Here such an address would pass for an IPv4 one. ip6_rcv_core() in net/ipv6/ip6_input.c drops such sources.
    if source.startswith(V4_PREFIX) or destination.startswith(V4_PREFIX):
        raise Malformed("IPv4-mapped address in an IPv6 packet")
    end = min(size, _V6_HEADER + length) if length else size  # 0: a jumbogram, or a segment yet to be cut
    found = _Internet(following, source, destination, _V6_HEADER, end)
    if following in _EXTENSIONS:
        _skip_extensions(payload, found)
    return found


def _skip_extensions(payload: bytes | memoryview, found: _Internet) -> None:
    for _ in range(MAX_EXTENSION_HEADERS):
        if found.offset + 8 > found.end:
            raise Malformed("IPv6 extension header is cut short")
        if found.protocol == _FRAGMENT_HEADER:
            _skip_fragment_header(payload, found)
        else:
            _skip_extension(payload, found)
        if found.protocol not in _EXTENSIONS or not found.has_transport:
            return
    raise Malformed(f"more than {MAX_EXTENSION_HEADERS} IPv6 extension headers")


def _skip_fragment_header(payload: bytes | memoryview, found: _Internet) -> None:
    found.protocol, fragment = _FRAGMENT.unpack_from(payload, found.offset)
    found.offset += 8
    if fragment & _V6_MORE_OR_OFFSET:
        found.is_fragment = True
        found.has_transport = not fragment & _V6_OFFSET


def _skip_extension(payload: bytes | memoryview, found: _Internet) -> None:
    following, length, segments_left = _EXTENSION.unpack_from(payload, found.offset)
    if found.protocol == _ROUTING and segments_left:
        # The address in the IP header is only the next stop; any program may set this (IPV6_RTHDR, RFC 3542 7).
        raise Malformed("a routing header hides the true destination")
    # AH counts 4-byte words and leaves out two (RFC 4302 2.2), the others 8-byte words and leave out one.
    found.offset += (length + 2) * 4 if found.protocol == _AUTHENTICATION else (length + 1) * 8
    found.is_routed |= found.protocol == _ROUTING
    found.protocol = following


def _without_ports(found: _Internet) -> Packet:
    return Packet(found.protocol, found.source, found.destination, 0, 0, found.offset, found.end, found.is_fragment)


def _parse_tcp(payload: bytes | memoryview, found: _Internet) -> Packet:
    offset, end = found.offset, found.end
    if offset + _TCP_HEADER > end:
        raise Malformed(f"TCP header of {end - offset} bytes")
    source_port, destination_port = _PORTS.unpack_from(payload, offset)
    start = offset + (payload[offset + 12] >> 4) * 4
    if not offset + _TCP_HEADER <= start <= end:
        raise Malformed(f"TCP header of {start - offset} bytes in a segment of {end - offset}")
    return Packet(
        TCP,
        found.source,
        found.destination,
        source_port,
        destination_port,
        start,
        end,
        is_fragment=found.is_fragment,
        transport_offset=offset,
        is_routed=found.is_routed,
    )


def _parse_udp(payload: bytes | memoryview, found: _Internet) -> Packet:
    offset, end = found.offset, found.end
    if offset + _UDP_HEADER > end:
        raise Malformed(f"UDP header of {end - offset} bytes")
    source_port, destination_port, length = _UDP.unpack_from(payload, offset)
    if 0 < length < _UDP_HEADER:  # 0: a jumbogram (RFC 2675 4)
        raise Malformed(f"UDP length {length}")
    start, end = offset + _UDP_HEADER, min(end, offset + length) if length else end
    return Packet(UDP, found.source, found.destination, source_port, destination_port, start, end, found.is_fragment)


def _parse_icmp(payload: bytes | memoryview, found: _Internet) -> Packet:
    protocol, offset = found.protocol, found.offset
    if offset + _ICMP_HEADER > found.end:
        raise Malformed(f"ICMP header of {found.end - offset} bytes")
    kind, identifier = _ICMP.unpack_from(payload, offset)
    is_echo = kind in _ECHO[protocol]
    return Packet(
        protocol,
        found.source,
        found.destination,
        identifier if is_echo else 0,
        0,
        offset + _ICMP_HEADER,
        found.end,
        is_fragment=found.is_fragment,
        is_echo=is_echo,
    )


class Segment(msgspec.Struct, frozen=True):
    sequence: int  # of the first byte; of the SYN where there is one
    acknowledgement: int
    flags: int
    payload: bytes = b""

    @property
    def is_opening(self) -> bool:
        return bool(self.flags & _SYN)

    @property
    def is_acknowledging(self) -> bool:
        return bool(self.flags & _ACK)

    @property
    def is_last(self) -> bool:
        """Whether its sender sends no more (FIN), or ends the connection at once (RST)."""
        return bool(self.flags & (_FIN | _RST))

    @property
    def data_sequence(self) -> int:
        """Number of the first byte of the payload: a SYN takes up a number of its own."""
        return (self.sequence + self.is_opening) & 0xFFFFFFFF


Payload = bytes | Segment  # what a packet carries: a datagram's bytes, or a segment of TCP


def parse_segment(packet: Packet, payload: bytes | memoryview) -> Segment:
    """The segment in the bytes that the packet was parsed from. Raises Malformed."""
    if packet.protocol != TCP or packet.is_fragment:
        raise Malformed("not a whole TCP segment")
    sequence, acknowledgement, flags = _SEGMENT.unpack_from(payload, packet.transport_offset)
    return Segment(sequence, acknowledgement, flags, payload_of(packet, payload))
