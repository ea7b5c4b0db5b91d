"""Finds and lists sockets: TCP and UDP by sock_diag(7), ping and raw ones by /proc/net (RAW_DIAG may be missing).

A socket is looked for as the kernel does it, so with the interface by which it takes a packet to have come. What this
machine sends to itself comes in by lo, but counts as if it came by the interface that has the address (orig_oif in
ip_route_output_key_hash_rcu(), IP6CB(skb)->iif in ip6_rcv_core()): `find_home`. A packet from a VRF (ip-vrf(8)) came by
one of its interfaces before: `is_vrf`.
"""

import errno
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Self

import msgspec

from tinysnitch.core.model.errors import Malformed, SnitchError, unless_short
from tinysnitch.core.model.flow import ICMP, ICMPV6, TCP, UDP, V4_PREFIX, Direction, Flow, format_protocol, is_v4
from tinysnitch.kernel.netlink.socket import ROUTE_HEADER, NetlinkSocket, pack_attribute, parse_attributes
from tinysnitch.kernel.system.kernel_modules import with_reason
from tinysnitch.kernel.system.proc_place import PROC

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


NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY, SOCK_DESTROY = 20, 21  # include/uapi/linux/sock_diag.h
TCP_TIME_WAIT, TCP_LISTEN = 6, 10  # include/net/tcp_states.h
ALL_STATES = 0xFFF

_REQUEST = struct.Struct("=BBBxI")  # struct inet_diag_req_v2 up to its id
_ID = struct.Struct("!HH16s16s")  # struct inet_diag_sockid up to the interface
_ANY_COOKIE = struct.pack("=II", 0xFFFFFFFF, 0xFFFFFFFF)  # INET_DIAG_NOCOOKIE
_ANY_SOCKET = bytes(4) + _ANY_COOKIE  # of any interface, in a dump
_ANSWER = struct.Struct("=BBBB4s16s16sIII5I")  # struct inet_diag_msg
_PORTS = struct.Struct("!HH")
_ABSENT = (errno.ENOENT, errno.ESTALE, errno.EINVAL)
ANY_V4 = V4_PREFIX + bytes(4)
ANY_V6 = bytes(16)


class DiagSocket(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One socket of this network namespace. Addresses as in Flow; the remote is all zero when not connected."""

    protocol: int
    state: int  # TCP_LISTEN ...
    local: bytes
    local_port: int  # ping socket: the identifier
    remote: bytes
    remote_port: int
    interface: int = 0  # index of the one it is bound to
    cookie: int = 0  # 0: not told (/proc/net)
    inode: int  # 0: no descriptor refers to it any more, or not yet
    uid: int
    unsent_bytes: int  # TCP: sent and not acknowledged (unless listening); else: held on the way out

    def takes(self, flow: Flow) -> bool:
        """Whether addresses and ports of the socket fit the flow."""
        if self.local_port != flow.local_port or not _covers(self.local, flow.local):
            return False
        is_connected = self.remote_port != 0 or self.remote not in (ANY_V4, ANY_V6)
        return not is_connected or (self.remote, self.remote_port) == (flow.remote, flow.remote_port)

    def is_nobodys_connection(self, flow: Flow) -> bool:
        """Whether no program holds it: it is over; or it came in, was not accepted yet, and this is its SYN again."""
        is_coming = flow.direction is Direction.INBOUND and flow.protocol == TCP and self.state != TCP_LISTEN
        return self.state == TCP_TIME_WAIT or (is_coming and not self.inode)

    def is_connected_as(self, flow: Flow) -> bool:
        """Whether the flow is this very connection."""
        own = self.local, self.local_port, self.remote, self.remote_port
        return own == (flow.local, flow.local_port, flow.remote, flow.remote_port)


def _covers(bound: bytes, local: bytes) -> bool:
    """Whether a socket bound to an address takes packets to it; `::` takes IPv4 too."""
    return bound in (local, ANY_V6) or (bound == ANY_V4 and is_v4(local))


def _pack_request(flow: Flow, interface: int, cookie: bytes) -> bytes:
    family, near, far = socket.AF_INET6, flow.local, flow.remote
    if is_v4(near) and is_v4(far):
        family, near, far = socket.AF_INET, near[12:].ljust(16, b"\0"), far[12:].ljust(16, b"\0")
    identity = _ID.pack(flow.local_port, flow.remote_port, near, far)
    if flow.protocol == UDP:  # "src and dst are swapped for historical reasons", net/ipv4/udp_diag.c
        identity = _ID.pack(flow.remote_port, flow.local_port, far, near)
    return _REQUEST.pack(family, flow.protocol, 0, ALL_STATES) + identity + struct.pack("=I", interface) + cookie


class SocketDiag:
    """Asks the kernel for sockets of the network namespace it was made in."""

    def __init__(self) -> None:
        self._netlink = NetlinkSocket(NETLINK_SOCK_DIAG)
        self._links = NetlinkSocket(socket.NETLINK_ROUTE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._netlink.close()
        self._links.close()

    def find_receiver(self, flow: Flow, interface: int = 0) -> DiagSocket | None:
        """The TCP or UDP socket that takes the flow's packets, by the kernel's own look-up.

        `interface`: index of the interface that the packet came by or leaves by; 0: not known."""
        if interface == LOOPBACK:
            interface = find_home(self._links, flow.local)
        found = self._look_up(flow, interface)
        # Then a SYN goes to who listens. Where several sockets share the port (SO_REUSEPORT) the kernel chooses by the
        # remote's port, and for that port this look-up finds only the connection: it may name another of them.
        if found and found.is_nobodys_connection(flow):
            found = self._look_up(msgspec.structs.replace(flow, remote_port=0), interface)
        if found or flow.protocol not in (TCP, UDP):
            return found
        # The look-up passes over sockets that are bound to another interface, and a packet that came by a VRF has two
        # interfaces. To list such sockets the kernel goes through all: 0.4 ms for a few, 28 ms for 60,000, which any
        # user may have.
        if interface and not is_vrf(self._links, interface):
            return None
        is_listening = flow.protocol == TCP and flow.direction is Direction.INBOUND
        states = 1 << TCP_LISTEN if is_listening else ALL_STATES
        sockets = self.list_sockets(flow.protocol, flow.local_port, states)
        return next((each for each in sockets if each.interface and each.takes(flow)), None)

    def end_connection(self, flow: Flow, cookie: int) -> bool:
        """End a TCP connection for its program, as a reset would, if this very socket still has it. False if not: it is
        over already, or the kernel has no INET_DIAG_DESTROY."""
        request = _pack_request(flow, 0, struct.pack("=II", cookie & 0xFFFFFFFF, cookie >> 32))
        try:
            self._netlink.request(SOCK_DESTROY, request)
        except OSError:
            return False
        return True

    def _look_up(self, flow: Flow, interface: int) -> DiagSocket | None:
        try:
            answer = self._netlink.query(SOCK_DIAG_BY_FAMILY, _pack_request(flow, interface, _ANY_COOKIE))
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise
        return parse_socket(flow.protocol, answer.payload)

    def is_open(self, listening: DiagSocket) -> bool:
        """Whether a socket that takes a port is still open. A look-up would find only one of several on a port."""
        states = 1 << TCP_LISTEN if listening.protocol == TCP else ALL_STATES
        found = self.list_sockets(listening.protocol, listening.local_port, states)
        return any(each.cookie == listening.cookie for each in found)

    def list_sockets(self, protocol: int, local_port: int = 0, states: int = ALL_STATES) -> list[DiagSocket]:
        """All TCP or UDP sockets in a set of states (bit: 1 << state), of one local port or (0) of any.

        Raises SnitchError where the kernel has no such list.
        """
        found: list[DiagSocket] = []
        for family in (socket.AF_INET, socket.AF_INET6):
            identity = _ID.pack(local_port, 0, ANY_V6, ANY_V6)
            request = _REQUEST.pack(family, protocol, 0, states) + identity + _ANY_SOCKET
            try:
                answers = self._netlink.dump(SOCK_DIAG_BY_FAMILY, request)
            except FileNotFoundError:  # inet_diag_lock_handler(): no such module, or none may be loaded any more
                hint = with_reason("it needs INET_TCP_DIAG and INET_UDP_DIAG (modprobe tcp_diag udp_diag)")
                raise SnitchError(f"the kernel lists no sockets of {format_protocol(protocol)}", hint) from None
            found += [parse_socket(protocol, answer.payload) for answer in answers]
        return found


def check_lists() -> None:
    """Raises SnitchError if the kernel cannot list TCP or UDP sockets. A look-up would only say that there is no such
    socket, so all programs would be unknown, without any error."""
    with SocketDiag() as sockets:
        for protocol in (TCP, UDP):
            sockets.list_sockets(protocol, states=0)


def parse_socket(protocol: int, payload: bytes) -> DiagSocket:
    """From a struct inet_diag_msg; attributes behind it are ignored. Raises Malformed."""
    if len(payload) < _ANSWER.size:
        raise Malformed(f"sock_diag: {len(payload)} bytes are too few for a socket")
    family, state, _, _, ports, local, remote, interface, low, high, _, _, unsent, uid, inode = _ANSWER.unpack_from(
        payload
    )
    local_port, remote_port = _PORTS.unpack(ports)
    is_short = family == socket.AF_INET
    return DiagSocket(
        protocol=protocol,
        state=state,
        local=V4_PREFIX + local[:4] if is_short else local,
        local_port=local_port,
        remote=V4_PREFIX + remote[:4] if is_short else remote,
        remote_port=remote_port,
        interface=interface,
        cookie=high << 32 | low,
        inode=inode,
        uid=uid,
        unsent_bytes=unsent,
    )


def read_raw_sockets() -> list[DiagSocket]:
    """Ping sockets, and raw sockets of any protocol (local_port 0)."""
    return [
        *_read_table("icmp", ICMP),
        *_read_table("icmp6", ICMPV6),
        *_read_table("raw"),
        *_read_table("raw6"),
    ]


def _read_table(name: str, protocol: int | None = None) -> Iterator[DiagSocket]:
    try:
        with open(f"{PROC}/thread-self/net/{name}") as file:
            text = file.read()
    except OSError as error:  # no IPv6
        return unless_short(error, None)
    yield from parse_table(text, protocol)


def parse_table(text: str, protocol: int | None = None) -> Iterator[DiagSocket]:
    """The sockets in a /proc/net file. `protocol` None: raw ones, whose port is their protocol (net/ipv4/raw.c).

    Raises Malformed.
    """
    for line in text.splitlines()[1:]:
        fields = line.split()
        try:
            yield _parse_line(fields, protocol)
        except (ValueError, IndexError, struct.error):
            raise Malformed(f"{line!r} is no socket") from None


def _parse_line(fields: list[str], protocol: int | None) -> DiagSocket:
    local, local_port = _parse_endpoint(fields[1])
    remote, remote_port = _parse_endpoint(fields[2])
    return DiagSocket(
        protocol=local_port if protocol is None else protocol,
        state=int(fields[3], 16),
        local=local,
        local_port=0 if protocol is None else local_port,
        remote=remote,
        remote_port=remote_port,
        inode=int(fields[9]),
        uid=int(fields[7]),
        unsent_bytes=int(fields[4].partition(":")[0], 16),
    )


def _parse_endpoint(text: str) -> tuple[bytes, int]:
    """`0100007F:0035`: words of the address as numbers in host order."""
    address, _, port = text.partition(":")
    words = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return V4_PREFIX + packed if len(packed) == 4 else packed, int(port, 16)
