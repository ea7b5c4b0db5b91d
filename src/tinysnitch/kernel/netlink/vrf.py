"""Tells whether an interface is a VRF (ip-vrf(8)): a packet from one came by one of its interfaces before."""

import struct

from tinysnitch.kernel.netlink.socket import NetlinkSocket, parse_attributes

_GET_LINK = 18  # RTM_GETLINK; the numbers: include/uapi/linux/rtnetlink.h and if_link.h
_LINK_INFO, _KIND = 18, 1  # IFLA_LINKINFO, IFLA_INFO_KIND
_IFINFOMSG = struct.Struct("=BxHiII")  # family, type, index, flags, which of them change


def is_vrf(netlink: NetlinkSocket, interface: int) -> bool:
    """`interface`: its index. `netlink`: of NETLINK_ROUTE. False for one that is gone. Raises Malformed."""
    try:
        answer = netlink.query(_GET_LINK, _IFINFOMSG.pack(0, 0, interface, 0, 0))
    except OSError:
        return False
    return read_kind(answer.payload) == "vrf"


def read_kind(payload: bytes) -> str:
    """What kind of interface a link message tells of, "" for a plain one. Raises Malformed."""
    info = parse_attributes(payload[_IFINFOMSG.size :]).get(_LINK_INFO)
    kind = parse_attributes(info).get(_KIND, b"") if info else b""
    return kind.rstrip(b"\0").decode("ascii", "replace")
