"""A flow: protocol, direction and both endpoints. Above the packet parser an address has only one form.

Addresses are 16 packed bytes in network order; IPv4 is held IPv4-mapped (::ffff:a.b.c.d, RFC 4291
2.5.5.2), so that a v4 connection made through an AF_INET6 socket is the same flow as any other.
"""

import ipaddress
from enum import Enum
from functools import lru_cache

import msgspec

from tinysnitch.core.model.errors import Malformed

ICMP = 1
TCP = 6
UDP = 17
ICMPV6 = 58
DNS_PORT = 53

V4_PREFIX = bytes(10) + b"\xff\xff"
_LINK6 = int.from_bytes(b"\xfe\x80") >> 6
_NAMES = {TCP: "tcp", UDP: "udp", ICMP: "icmp", ICMPV6: "icmp"}


class Direction(Enum):
    OUTBOUND = "outbound"
    INBOUND = "inbound"

    __hash__ = object.__hash__  # each member is one object; Enum's own hash doubles the cost of a look-up by flow


class Flow(msgspec.Struct, frozen=True, gc=False):
    """Identifies one conversation. For ICMP echo `local_port` is the echo identifier and `remote_port` 0."""

    protocol: int  # IANA number
    direction: Direction
    local: bytes  # 16 bytes
    local_port: int
    remote: bytes  # 16 bytes
    remote_port: int

    @property
    def port(self) -> int:
        """The port that rules test: outbound the remote's, inbound ours, 0 for protocols without ports."""
        if self.protocol not in (TCP, UDP):
            return 0
        return self.remote_port if self.direction is Direction.OUTBOUND else self.local_port


def format_protocol(number: int) -> str:
    """`tcp`, `udp`, `icmp` (both ICMP and ICMPv6), else the number."""
    return _NAMES.get(number) or str(number)


def is_v4(packed: bytes) -> bool:
    return packed.startswith(V4_PREFIX)


def is_of_link(packed: bytes) -> bool:
    """Whether this is a link-local IPv6 address, which another machine may have on another link (RFC 4291 2.5.6)."""
    return int.from_bytes(packed[:2]) >> 6 == _LINK6


@lru_cache(maxsize=1024)
def format_address(packed: bytes) -> str:
    """Text of a packed address; IPv4-mapped ones in dotted form."""
    if is_v4(packed):
        return ".".join(map(str, packed[12:]))
    return str(ipaddress.IPv6Address(packed))


@lru_cache(maxsize=4096)
def parse_address(text: str) -> bytes:
    """The packed form of an IPv4 or IPv6 address. Raises Malformed, also for a zone such as %eth0."""
    try:
        packed = ipaddress.ip_address(text).packed
    except ValueError:
        raise Malformed(f"{text!r} is not an address") from None
    if "%" in text:
        raise Malformed(f"{text!r} has a zone")
    return V4_PREFIX + packed if len(packed) == 4 else packed
