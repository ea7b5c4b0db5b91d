"""Our own addresses, the networks on our links and the names of interfaces, over rtnetlink(7), with news of changes.

`SourceAddresses` finds which of our addresses the kernel would send from; masquerading takes the same.
"""

import errno
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import msgspec

from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.flow import V4_PREFIX, is_v4
from tinysnitch.core.rules.network import Network, parse_network
from tinysnitch.kernel.netlink.socket import (
    ROUTE_HEADER,
    SOL_NETLINK,
    NetlinkMessage,
    NetlinkSocket,
    pack_attribute,
    parse_attributes,
)

_GET_ADDRESSES = 22  # RTM_GETADDR; the numbers: include/uapi/linux/rtnetlink.h and if_addr.h
_NEW_ADDRESS = 20  # RTM_NEWADDR
_GET_ROUTE, _NEW_ROUTE = 26, 24  # RTM_GETROUTE, RTM_NEWROUTE
_DESTINATION, _GATEWAY, _PATHS = 1, 5, 9  # RTA_DST, RTA_GATEWAY, RTA_MULTIPATH
_UNICAST = 1  # RTN_UNICAST
_BY_KERNEL, _BY_ROUTER = 2, 9  # RTPROT_KERNEL, RTPROT_RA
_STRICT = 12  # NETLINK_GET_STRICT_CHK, include/uapi/linux/netlink.h: a dump obeys the filter of its request
_GROUPS = 1 << 4 | 1 << 8 | 1 << 10 | 1 << 0  # RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_ROUTE, RTMGRP_LINK
_ADDRESS, _LOCAL = 1, 2  # IFA_ADDRESS, IFA_LOCAL: they differ on a point-to-point link
_OPTIMISTIC, _TENTATIVE = 0x04, 0x40  # IFA_F_OPTIMISTIC, IFA_F_TENTATIVE
_FAMILIES = bytes([socket.AF_INET]), bytes([socket.AF_INET6])  # others have addresses too (MCTP, Phonet)
_IFADDRMSG = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, interface
# How many routes of each maker are read, those for our own addresses among them. Any machine on the link may announce
# networks by the hundred thousand, and the kernel adds a route for each: all verdicts would wait while these are read,
# and again after each announcement.
MAX_LINKED = 512

# Networks that are never routed beyond the link, and groups of hosts: RFC 3927, 5771, 919, 4291. 0.0.0.0 is a host
# that has no address yet (RFC 1122 3.2.1.3); the kernel takes packets from it only if they are for the whole link
# (ip_route_input_slow, _mc).
_LINK_NETWORKS = frozenset(
    map(
        parse_network,
        ("0.0.0.0/32", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32", "fe80::/10", "ff00::/8"),
    )
)


class OwnAddresses(msgspec.Struct, frozen=True):
    own: frozenset[bytes]  # packed
    lan: tuple[Network, ...]  # sorted, so that equal ones compare equal


def read_addresses() -> OwnAddresses:
    with NetlinkSocket(socket.NETLINK_ROUTE) as netlink:
        messages = netlink.dump(_GET_ADDRESSES, _IFADDRMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0))
    found = [
        parse_address_message(message)
        for message in messages
        if message.kind == _NEW_ADDRESS and message.payload[:1] in _FAMILIES
    ]
    found = [each for each in found if not _seems_v4(each[0])]
    own = frozenset(_pack(address) for address, _network, is_taken in found if is_taken)
    networks = {network for address, network, _is_taken in found if not address.is_loopback}
    linked = networks | set(_read_linked()) | _LINK_NETWORKS
    return OwnAddresses(own, tuple(sorted(linked, key=msgspec.structs.astuple)))


def _read_linked() -> Iterator[Network]:
    """The IPv6 networks on our links: of our addresses, and those that a router announces (RFC 4861 6.3.4).

    An address from DHCPv6 brings no network (RFC 8415 18.2.10.1). Routes by other makers do not count: a route into a
    tunnel has no gateway either.
    """
    for maker in (_BY_KERNEL, _BY_ROUTER):
        asked = ROUTE_HEADER.pack(socket.AF_INET6, 0, 0, 0, 0, maker, 0, 0, 0)
        with NetlinkSocket(socket.NETLINK_ROUTE) as netlink:
            netlink.socket.setsockopt(SOL_NETLINK, _STRICT, 1)
            for message in netlink.dump(_GET_ROUTE, asked, MAX_LINKED):
                network = parse_linked_network(message) if message.kind == _NEW_ROUTE else None
                if network:
                    yield network


def parse_linked_network(message: NetlinkMessage) -> Network | None:
    """The network of an IPv6 route that leads to the link itself, None for any other route. Raises Malformed.

    A kernel whose IPv6 is switched off answers with the IPv4 routes instead (rtnl_dump_all()).
    """
    try:
        family, prefix, _source, _tos, _table, maker, _scope, kind, _flags = ROUTE_HEADER.unpack_from(message.payload)
        attributes = parse_attributes(message.payload[ROUTE_HEADER.size :])
        is_linked = family == socket.AF_INET6 and kind == _UNICAST and maker in (_BY_KERNEL, _BY_ROUTER)
        if not is_linked or not prefix or _GATEWAY in attributes or _PATHS in attributes:
            return None
        network = IPv6Network((attributes[_DESTINATION], prefix), strict=False)
        is_others = network.is_loopback or _seems_v4(network.network_address)
        return None if is_others else parse_network(str(network))
    except (struct.error, KeyError, ValueError) as error:
        raise Malformed(f"rtnetlink: {error}") from None


def parse_address_message(message: NetlinkMessage) -> tuple[IPv4Address | IPv6Address, Network, bool]:
    """Our address, the network that it puts on the link, and whether the address is ours already. Raises Malformed.

    An address is not ours while the kernel still checks whether another machine has it (RFC 4862 5.4), nor when one
    has: the kernel sends packets for it to the link, and lets in packets from it. An optimistic address (RFC 4429) is
    used at once.
    """
    try:
        family, prefix, flags, _scope, _interface = _IFADDRMSG.unpack_from(message.payload)
        is_taken = flags & (_TENTATIVE | _OPTIMISTIC) != _TENTATIVE
        attributes = parse_attributes(message.payload[_IFADDRMSG.size :])
        peer = attributes.get(_ADDRESS) or attributes[_LOCAL]
        local = attributes.get(_LOCAL) or peer
        if family == socket.AF_INET:
            return IPv4Address(local), parse_network(str(IPv4Network((peer, prefix), strict=False))), is_taken
        return IPv6Address(local), parse_network(str(IPv6Network((peer, prefix), strict=False))), is_taken
    except (struct.error, KeyError, ValueError) as error:
        raise Malformed(f"rtnetlink: {error}") from None


def _seems_v4(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is in ::ffff:0:0/96, where flow.py keeps IPv4 addresses. No IPv6 packet is sent there, but a router or
    DHCPv6 server could assign it: that must not make all of the Internet `lan`, or a part of it `localhost`."""
    return isinstance(address, IPv6Address) and address.ipv4_mapped is not None


def _pack(address: IPv4Address | IPv6Address) -> bytes:
    return V4_PREFIX + address.packed if address.version == 4 else address.packed


class AddressNews(NetlinkSocket):
    """Readable whenever an address, a link or a route of IPv6 has changed; also knows the interfaces by index."""

    def __init__(self) -> None:
        super().__init__(socket.NETLINK_ROUTE, _GROUPS)
        self.socket.setblocking(False)
        self._names: dict[int, str] = {}

    def drain(self) -> None:
        self._names.clear()
        super().drain()

    def find_interface(self, index: int) -> str:
        """The interface's name, "" when there is none."""
        name = self._names.get(index)
        if name is None:
            name = self._names[index] = _read_name(index)
        return name


def _read_name(index: int) -> str:
    try:
        return socket.if_indextoname(index) if index else ""
    except OSError as error:
        if error.errno == errno.ENXIO:  # if_indextoname(3)
            return ""
        raise  # too few descriptors: if "" were remembered, rules with `iface=` would not match any more


_INTERFACE, _SOURCE = 4, 7  # RTA_OIF, RTA_PREFSRC: include/uapi/linux/rtnetlink.h


class SourceAddresses:
    """For the network namespace that it is made in."""

    def __init__(self) -> None:
        self._netlink = NetlinkSocket(socket.NETLINK_ROUTE)

    def close(self) -> None:
        self._netlink.close()

    def find(self, remote: bytes, interface: int) -> bytes | None:
        """The source for a remote by this interface (index), packed as `remote` is. None if no route leads there."""
        prefix, family = (V4_PREFIX, socket.AF_INET) if is_v4(remote) else (b"", socket.AF_INET6)
        address = remote[len(prefix) :]
        header = ROUTE_HEADER.pack(family, 8 * len(address), 0, 0, 0, 0, 0, 0, 0)
        way = pack_attribute(_DESTINATION, address) + pack_attribute(_INTERFACE, struct.pack("=I", interface))
        try:
            answer = self._netlink.query(_GET_ROUTE, header + way)
        except OSError:
            return None
        source = parse_attributes(answer.payload[ROUTE_HEADER.size :]).get(_SOURCE)
        return prefix + source if source else None
