"""Finds the interface that has an address of ours, over rtnetlink(7).

What this machine sends to itself comes in by lo, but the kernel looks for its socket as if it came by the interface
that has the address (orig_oif in ip_route_output_key_hash_rcu(), IP6CB(skb)->iif in ip6_rcv_core()).
"""

import socket
import sys

from tinysnitch.core.model.flow import V4_PREFIX, is_v4
from tinysnitch.kernel.netlink.socket import ROUTE_HEADER, NetlinkSocket, pack_attribute, parse_attributes

LOOPBACK = 1  # LOOPBACK_IFINDEX: the index of lo in every network namespace
_GET_ROUTE = 26  # RTM_GETROUTE; the numbers: include/uapi/linux/rtnetlink.h
_ENTRY_ITSELF = 0x2000  # RTM_F_FIB_MATCH: answer with the route in the table, not with the way by lo that results
_DESTINATION, _INTERFACE = 1, 4  # RTA_DST, RTA_OIF


def find_home(netlink: NetlinkSocket, address: bytes) -> int:
    """Its index, that of lo if no other interface has the address. `netlink`: of NETLINK_ROUTE. Raises Malformed."""
    prefix, family = (V4_PREFIX, socket.AF_INET) if is_v4(address) else (b"", socket.AF_INET6)
    bare = address[len(prefix) :]
    header = ROUTE_HEADER.pack(family, 8 * len(bare), 0, 0, 0, 0, 0, 0, _ENTRY_ITSELF)
    try:
        answer = netlink.query(_GET_ROUTE, header + pack_attribute(_DESTINATION, bare))
    except OSError:
        return LOOPBACK
    found = parse_attributes(answer.payload[ROUTE_HEADER.size :]).get(_INTERFACE)
    return int.from_bytes(found, sys.byteorder) if found else LOOPBACK
