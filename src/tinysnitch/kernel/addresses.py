"""Our own addresses, the networks on our links and the names of interfaces, over rtnetlink(7), with news of changes."""

import errno
import socket
import struct
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import msgspec

from tinysnitch.core.errors import Malformed
from tinysnitch.core.flow import V4_PREFIX
from tinysnitch.core.network import Network, parse_network
from tinysnitch.kernel.netlink import Message, NetlinkSocket, parse_attributes

_GET_ADDRESSES = 22  # RTM_GETADDR; the numbers: include/uapi/linux/rtnetlink.h and if_addr.h
_NEW_ADDRESS = 20  # RTM_NEWADDR
_GROUPS = 1 << 4 | 1 << 8 | 1 << 0  # RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR, RTMGRP_LINK
_ADDRESS, _LOCAL = 1, 2  # IFA_ADDRESS, IFA_LOCAL: they differ on a point-to-point link
_OPTIMISTIC, _TENTATIVE = 0x04, 0x40  # IFA_F_OPTIMISTIC, IFA_F_TENTATIVE
_IFADDRMSG = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, interface

# Never routed further than the link, or to a group of hosts: RFC 3927, 5771, 919, 4291. 0.0.0.0 is who has no address
# yet (RFC 1122 3.2.1.3), whom the kernel hears only where all of the link is meant (ip_route_input_slow, _mc).
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
    found = [parse_address_message(message) for message in messages if message.kind == _NEW_ADDRESS]
    own = frozenset(_pack(address) for address, _network, is_taken in found if is_taken)
    networks = {network for address, network, _is_taken in found if not address.is_loopback}
    return OwnAddresses(own, tuple(sorted(networks | _LINK_NETWORKS, key=msgspec.structs.astuple)))


def parse_address_message(message: Message) -> tuple[IPv4Address | IPv6Address, Network, bool]:
    """Our address, the network that it puts on the link, and whether it is ours by now. Raises Malformed.

    Until nobody else is found to have it (RFC 4862 5.4), and once somebody is, it is not: the kernel sends what is for
    it to the link, and lets in what comes from it. An optimistic one (RFC 4429) is used at once.
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


def _pack(address: IPv4Address | IPv6Address) -> bytes:
    return V4_PREFIX + address.packed if address.version == 4 else address.packed


class AddressNews(NetlinkSocket):
    """Readable whenever an address or a link has changed; also knows the interfaces by index."""

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
        raise  # too few descriptors, which it has another error for: who remembered that there is none would lose rules
