"""Asks conntrack which flow a translated answer belongs to (include/uapi/linux/netfilter/nfnetlink_conntrack.h)."""

import errno
import socket

from tinysnitch.core.model.flow import ICMP, ICMPV6, UDP, V4_PREFIX, Direction, Flow, is_v4
from tinysnitch.kernel.netlink.socket import (
    NETFILTER_HEADER,
    NETLINK_NETFILTER,
    NetlinkSocket,
    pack_attribute,
    parse_attributes,
)

_GET = 1 << 8 | 1  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET
_NESTED = 0x8000  # NLA_F_NESTED
_ORIGINAL, _REPLY, _STATUS = 1, 2, 3  # CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_STATUS
_ADDRESSES, _PROTOCOL = 1, 2  # CTA_TUPLE_IP, CTA_TUPLE_PROTO
_V4, _V6 = (1, 2), (3, 4)  # CTA_IP_V4_SRC and DST, CTA_IP_V6_SRC and DST
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3  # CTA_PROTO_*
_ECHO = {ICMP: (4, 5, 6, 0), ICMPV6: (7, 8, 9, 129)}  # CTA_PROTO_ICMP_ID, TYPE, CODE; the type of an echo reply
_DST_NAT = 1 << 5  # IPS_DST_NAT, nf_conntrack_common.h


class Conntrack:
    """For the network namespace that it is made in."""

    def __init__(self) -> None:
        self._netlink: NetlinkSocket | None = NetlinkSocket(NETLINK_NETFILTER)

    def close(self) -> None:
        if self._netlink:
            self._netlink.close()
        self._netlink = None

    def find_asked(self, answer: Flow) -> Flow | None:
        """The flow that `answer` answers, as the program sees it, if its destination was translated (DNAT).

        None for other protocols than UDP and echoes, and where the kernel has no conntrack.
        """
        if self._netlink is None or answer.protocol not in (UDP, *_ECHO):
            return None
        try:
            found = parse_attributes(self._netlink.query(_GET, _pack_request(answer)).payload[NETFILTER_HEADER.size :])
        except OSError as error:
            if error.errno == errno.EINVAL:  # nfnetlink_rcv_msg(): no such module
                self.close()  # each try would have the kernel look for it
            return None
        if not int.from_bytes(found.get(_STATUS, b""), "big") & _DST_NAT:
            return None
        return _parse_original(answer, found[_ORIGINAL])


def _pack_request(answer: Flow) -> bytes:
    family = socket.AF_INET if is_v4(answer.remote) else socket.AF_INET6
    places, start = (_V4, len(V4_PREFIX)) if is_v4(answer.remote) else (_V6, 0)
    ends = zip(places, (answer.remote, answer.local), strict=True)
    addresses = b"".join(pack_attribute(place, address[start:]) for place, address in ends)
    nested = _pack_nested(_ADDRESSES, addresses) + _pack_nested(_PROTOCOL, _pack_protocol(answer))
    return NETFILTER_HEADER.pack(family, 0, 0) + _pack_nested(_REPLY, nested)


def _pack_protocol(answer: Flow) -> bytes:
    number = pack_attribute(_NUMBER, bytes([answer.protocol]))
    if answer.protocol not in _ECHO:
        ports = ((_SOURCE_PORT, answer.remote_port), (_DESTINATION_PORT, answer.local_port))
        return number + b"".join(pack_attribute(kind, port.to_bytes(2, "big")) for kind, port in ports)
    identifier, kind, code, reply = _ECHO[answer.protocol]
    echo = pack_attribute(kind, bytes([reply])) + pack_attribute(code, b"\0")
    return number + pack_attribute(identifier, answer.local_port.to_bytes(2, "big")) + echo


def _pack_nested(kind: int, payload: bytes) -> bytes:
    return pack_attribute(kind | _NESTED, payload)


def _parse_original(answer: Flow, tuple_: bytes) -> Flow:
    parts = parse_attributes(tuple_)
    addresses, protocol = parse_attributes(parts[_ADDRESSES]), parse_attributes(parts[_PROTOCOL])
    prefix, (source, destination) = (V4_PREFIX, _V4) if _V4[0] in addresses else (b"", _V6)
    local_port, remote_port = answer.local_port, 0
    if answer.protocol not in _ECHO:
        local_port, remote_port = (int.from_bytes(protocol[kind], "big") for kind in (_SOURCE_PORT, _DESTINATION_PORT))
    return Flow(
        protocol=answer.protocol,
        direction=Direction.OUTBOUND,
        local=prefix + addresses[source],
        local_port=local_port,
        remote=prefix + addresses[destination],
        remote_port=remote_port,
    )
