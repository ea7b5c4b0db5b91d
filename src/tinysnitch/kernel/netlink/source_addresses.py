"""Finds which of our addresses the kernel would send from, over rtnetlink(7). Masquerading takes the same."""

import socket
import struct

from tinysnitch.core.model.flow import V4_PREFIX, is_v4
from tinysnitch.kernel.netlink.socket import ROUTE_HEADER, NetlinkSocket, pack_attribute, parse_attributes

_GET_ROUTE = 26  # RTM_GETROUTE; the numbers: include/uapi/linux/rtnetlink.h
_DESTINATION, _INTERFACE, _SOURCE = 1, 4, 7  # RTA_DST, RTA_OIF, RTA_PREFSRC


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
