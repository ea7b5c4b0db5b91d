"""Lets in answers to packets whose destination was translated on the way out (DNAT in nat OUTPUT).

Mangle INPUT sees such an answer before nat INPUT restores the address that the program knows, so BPF finds no
conversation for it. Conntrack knows which one it is: that conversation is written once more, with the address that the
answer has.

If the source was translated too (masqueraded, since the new destination is behind another interface), the answer has
the program's address already at that place, but conntrack knows it by the address that it came to.

Conntrack is asked over netlink (include/uapi/linux/netfilter/nfnetlink_conntrack.h).
"""

import errno
import socket
import time
from collections import Counter
from collections.abc import Callable

import msgspec

from tinysnitch.core.model.flow import ICMP, ICMPV6, TCP, UDP, V4_PREFIX, Direction, Flow, is_v4
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.netlink.addresses import SourceAddresses
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

MAX_FLOWS = 1024
MAX_TRIES = 16  # of one flow: a packet that BPF refuses all the same must not come around for ever
ANEW_S = 0.1  # then tries are counted anew: a packet that comes around uses them up within a few ms


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


class NatReplies:
    """`programs` None: without BPF the netfilter rules ask conntrack themselves, and nothing is done here."""

    def __init__(
        self,
        programs: BpfPrograms | None,
        open_conntrack: Callable[[], Conntrack] = Conntrack,
        open_sources: Callable[[], SourceAddresses] = SourceAddresses,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._programs = programs
        self._conntrack = open_conntrack() if programs else None
        self._sources = open_sources() if programs else None
        self._clock = clock
        self._tries: Counter[Flow] = Counter()
        self._anew_s = 0.0

    def close(self) -> None:
        for opened in (self._conntrack, self._sources):
            if opened:
                opened.close()

    def let_pass(self, flow: Flow, interface: int) -> bool:
        """Whether a packet of the flow answers something that was allowed. If so, BPF knows it from now on.

        `interface`: index of the interface that the packet came by.
        """
        if flow.direction is Direction.OUTBOUND or flow.protocol == TCP:
            return False
        if not self._programs or not self._conntrack or not self._sources:
            return False
        asked = self._conntrack.find_asked(flow)
        if asked is None:
            asked = _find_masqueraded(self._conntrack, flow, self._sources.find(flow.remote, interface))
        if asked is None or not self._may_try(flow):
            return False
        return self._programs.translate_conversation(asked, flow)

    def _may_try(self, flow: Flow) -> bool:
        now_s = self._clock()
        if now_s >= self._anew_s or len(self._tries) >= MAX_FLOWS:
            self._tries.clear()
            self._anew_s = now_s + ANEW_S
        self._tries[flow] += 1
        return self._tries[flow] <= MAX_TRIES


def _find_masqueraded(conntrack: Conntrack, flow: Flow, local: bytes | None) -> Flow | None:
    """The flow of the question, if its source was translated to `local`, an address of ours."""
    if local in (None, flow.local):
        return None
    asked = conntrack.find_asked(msgspec.structs.replace(flow, local=local))
    return asked if asked and (asked.local, asked.local_port) == (flow.local, flow.local_port) else None
