"""One NFQUEUE over AF_NETLINK (include/uapi/linux/netfilter/nfnetlink_queue.h): packets in, verdicts out in batches.

NFQNL_MSG_VERDICT_BATCH is never used: it also releases held packets with lower ids. FAIL_OPEN is never set: what does
not fit into the queue is dropped by the kernel, and counted. Closing the queue drops what it held. An interface that
goes down drops what is held for it (nfqnl_dev_drop()), which only the error that answers the verdict tells.
"""

import errno
import socket
import struct
from enum import Enum
from pathlib import Path

import msgspec

from tinysnitch.core.model.errors import Malformed, NotPermitted, SnitchError, hint_for
from tinysnitch.kernel.netlink import socket as netlink
from tinysnitch.kernel.netlink.socket import (
    ATTRIBUTE,
    HEADER,
    NETFILTER_HEADER,
    NETLINK_NETFILTER,
    NetlinkMessage,
    NetlinkSocket,
    pack_attribute,
    pack_message,
    parse_attributes,
)
from tinysnitch.kernel.system.kernel_modules import with_reason
from tinysnitch.kernel.system.proc_place import PROC

_SUBSYSTEM = 3 << 8  # NFNL_SUBSYS_QUEUE
_PACKET, _VERDICT, _CONFIG = _SUBSYSTEM, _SUBSYSTEM | 1, _SUBSYSTEM | 2
_CFG_CMD, _CFG_PARAMS, _CFG_MAXLEN, _CFG_MASK, _CFG_FLAGS = 1, 2, 3, 4, 5
_BIND = 1
_COPY_PACKET = 2
_FLAG_GSO = 4  # large packets come whole, not segmented for us
_FLAG_UID_GID = 8  # each with the user whose socket it is
_HEADER_ATTRIBUTE, _VERDICT_ATTRIBUTE, _MARK, _IN_INTERFACE, _OUT_INTERFACE, _PAYLOAD, _UID = 1, 2, 3, 5, 6, 10, 16

_PACKET_HEADER = struct.Struct("!IHB")  # struct nfqnl_msg_packet_hdr: id, ethertype, hook
_U32 = struct.Struct("!I")
_ATTRIBUTES = HEADER.size + NETFILTER_HEADER.size  # where they begin
_VERDICT_HEADER = struct.Struct("!II")  # struct nfqnl_msg_verdict_hdr: verdict, id

MAX_LENGTH = 8192  # packets: 4096 may wait for people, and what is behind 4096 more would wait for half a second
BATCH = 64  # packets per read: enough to spread the cost of a verdict message, few enough to stay quick
_VERDICTS_PER_SEND = 1024  # netlink_sendmsg() refuses what is larger than the send buffer: EMSGSIZE
_RECEIVE_BUFFER = 16 << 20  # bytes in the kernel
_SO_RCVBUFFORCE = 33  # include/uapi/asm-generic/socket.h
_DATAGRAM = 80 * 1024  # a packet of at most 64 KiB and its attributes


class NfVerdict(Enum):
    """include/uapi/linux/netfilter.h"""

    DROP = 0
    ACCEPT = 1  # on to the next hook
    REPEAT = 4  # once more through this hook

    __hash__ = object.__hash__  # each is one object; Enum's own is Python, and paid at every look-up


class QueueTaken(SnitchError):
    """Another program reads the queue."""


class QueuedPacket(msgspec.Struct, frozen=True, gc=False):
    packet_id: int
    hook: int  # enum nf_inet_hooks
    in_interface: int  # index, 0: none
    out_interface: int
    mark: int
    payload: bytes  # from the IP header, at most `copy_range` bytes
    sender_uid: int | None = None  # who made the socket that sends it; None: not asked for, or it is closed


class QueueStatistics(msgspec.Struct, frozen=True):
    waiting: int
    dropped_full: int  # the queue had `max_length` packets
    dropped_unread: int  # our receive buffer was full


class Queue:
    def __init__(
        self, number: int, *, copy_range: int = 0xFFFF, max_length: int = MAX_LENGTH, tells_sender: bool = False
    ) -> None:
        """`tells_sender`: packets have their `sender_uid`, at the price of two more attributes to parse."""
        self.number = number
        self.gone = 0  # packets that the kernel did not have any more when their verdict came
        self._held = 0  # packets that were read, and have no verdict yet
        self._flags = _FLAG_GSO | (_FLAG_UID_GID if tells_sender else 0)
        self._buffer = bytearray(_DATAGRAM)
        self._view = memoryview(self._buffer)
        self._verdicts: list[bytes] = []
        self._prefixes = {verdict: self._pack_prefix(verdict) for verdict in NfVerdict}
        self._netlink = NetlinkSocket(NETLINK_NETFILTER)
        try:
            early = self._configure(copy_range, max_length)
        except OSError as error:
            self._netlink.close()
            raise _explain(error, number) from None
        self._socket = self._netlink.socket
        self._socket.setblocking(False)
        self._queue_again(early)

    def _configure(self, copy_range: int, max_length: int) -> list[NetlinkMessage]:
        """All in one message, so that the queue is never half set up. Returns what came meanwhile."""
        self._grow_buffer()
        self._netlink.socket.setsockopt(netlink.SOL_NETLINK, netlink.NETLINK_NO_ENOBUFS, 1)
        attributes = (
            pack_attribute(_CFG_CMD, struct.pack("!BxH", _BIND, socket.AF_UNSPEC)),
            pack_attribute(_CFG_PARAMS, struct.pack("!IB", copy_range, _COPY_PACKET)),
            pack_attribute(_CFG_MAXLEN, _U32.pack(max_length)),
            pack_attribute(_CFG_FLAGS, _U32.pack(self._flags)),
            pack_attribute(_CFG_MASK, _U32.pack(self._flags)),
        )
        return self._netlink.request(_CONFIG, self._generic() + b"".join(attributes))

    def _queue_again(self, early: list[NetlinkMessage]) -> None:
        """Packets that came before the acknowledgement go through the hook once more, and so into the queue again."""
        for message in early:
            if message.kind == _PACKET:
                header = parse_attributes(message.payload[NETFILTER_HEADER.size :])[_HEADER_ATTRIBUTE]
                self._held += 1
                self.queue_verdict(_U32.unpack_from(header)[0], NfVerdict.REPEAT)
        self.flush()

    def _grow_buffer(self) -> None:
        try:
            self._netlink.socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        except PermissionError:
            self._netlink.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)

    def _generic(self) -> bytes:
        return NETFILTER_HEADER.pack(socket.AF_UNSPEC, 0, self.number)

    def fileno(self) -> int:
        return self._socket.fileno()

    def read_packets(self, limit: int = BATCH) -> list[QueuedPacket]:
        """What waits to be read now, `limit` packets at most.

        An error that comes after some is left to the next call: what was read and not handed on would be held for ever.
        """
        packets: list[QueuedPacket] = []
        receive, view = self._socket.recv_into, self._view
        for _ in range(limit):
            try:
                size = receive(self._buffer)
            except BlockingIOError:
                break
            except OSError:
                if packets:
                    break
                raise
            packet = parse_packet_message(view[:size])
            if packet is not None:
                packets.append(packet)
            else:
                self.gone += _is_of_gone_packet(view[:size])
        self._held += len(packets)
        return packets

    def queue_verdict(self, packet_id: int, verdict: NfVerdict, mark: int | None = None) -> None:
        """Collect a verdict; `flush` sends it."""
        self._held -= 1
        if mark is None:
            self._verdicts.append(self._prefixes[verdict] + packet_id.to_bytes(4, "big"))
            return
        header = pack_attribute(_VERDICT_ATTRIBUTE, _VERDICT_HEADER.pack(verdict.value, packet_id))
        body = self._generic() + header + pack_attribute(_MARK, _U32.pack(mark))
        self._verdicts.append(pack_message(_VERDICT, netlink.NLM_F_REQUEST, body))

    def _pack_prefix(self, verdict: NfVerdict) -> bytes:
        """A verdict message up to the packet id, which ends it."""
        header = pack_attribute(_VERDICT_ATTRIBUTE, _VERDICT_HEADER.pack(verdict.value, 0))
        return pack_message(_VERDICT, netlink.NLM_F_REQUEST, self._generic() + header)[: -_U32.size]

    def flush(self) -> None:
        """Send what was collected, many in one message; the kernel works on it before send(2) returns.

        What cannot be sent (OSError: ENOBUFS) stays for the next time: a packet without a verdict is held for ever.
        """
        while self._verdicts:
            self._socket.send(b"".join(self._verdicts[:_VERDICTS_PER_SEND]))
            del self._verdicts[:_VERDICTS_PER_SEND]

    def statistics(self) -> QueueStatistics:
        return read_statistics().get(self.number, QueueStatistics(0, 0, 0))

    def count_unread(self) -> int:
        """Packets that wait to be read. The others in the queue were read, and are held on purpose."""
        return self.statistics().waiting - self._held

    def close(self) -> None:
        self._netlink.close()


def parse_packet_message(message: memoryview) -> QueuedPacket | None:
    """The packet in a datagram from the kernel; None for anything else (an error report, say)."""
    if len(message) < _ATTRIBUTES or HEADER.unpack_from(message)[1] != _PACKET:
        return None
    packet_id: int | None = None  # 0 is one, too
    hook = in_interface = out_interface = mark = 0
    payload = b""
    sender_uid: int | None = None
    offset, end = _ATTRIBUTES, len(message)
    while offset + 4 <= end:
        length, kind = ATTRIBUTE.unpack_from(message, offset)
        if not 4 <= length <= end - offset:
            return None
        if kind == _PAYLOAD:
            payload = bytes(message[offset + 4 : offset + length])
        elif kind == _HEADER_ATTRIBUTE and length >= 11:
            packet_id, _ethertype, hook = _PACKET_HEADER.unpack_from(message, offset + 4)
        elif kind in (_MARK, _IN_INTERFACE, _OUT_INTERFACE, _UID) and length >= 8:
            (value,) = _U32.unpack_from(message, offset + 4)
            if kind == _MARK:
                mark = value
            elif kind == _IN_INTERFACE:
                in_interface = value
            elif kind == _OUT_INTERFACE:
                out_interface = value
            else:
                sender_uid = value
        offset += length + 3 & ~3
    if packet_id is None:
        return None
    return QueuedPacket(packet_id, hook, in_interface, out_interface, mark, payload, sender_uid)


def _is_of_gone_packet(message: memoryview) -> bool:
    """Whether it is the error that answers a verdict on a packet that is gone (nfqnl_recv_verdict())."""
    try:
        return any(
            one.kind == netlink.NLMSG_ERROR and netlink.parse_error(one.payload) == errno.ENOENT
            for one in netlink.parse_messages(message)
        )
    except Malformed:
        return False


def read_statistics() -> dict[int, QueueStatistics]:
    """By queue number; columns as seq_show() in net/netfilter/nfnetlink_queue.c prints them."""
    # /proc/self/net is the namespace of the thread group's leader; ours may be another thread's.
    try:
        lines = Path(PROC, "thread-self/net/netfilter/nfnetlink_queue").read_text().splitlines()
    except FileNotFoundError:
        return {}
    rows = [[int(word) for word in line.split()] for line in lines]
    return {row[0]: QueueStatistics(row[2], row[5], row[6]) for row in rows}


def _is_bound(number: int) -> bool:
    """Whether a program reads the queue. (Without CAP_NET_ADMIN a free one gives EPERM too, and the list is hidden.)"""
    try:
        return number in read_statistics()
    except PermissionError:
        return False


def _explain(error: OSError, number: int) -> SnitchError:
    if error.errno == errno.EPERM and not _is_bound(number):
        return NotPermitted("queues of packets need CAP_NET_ADMIN in this network namespace", "run it as its root")
    if error.errno in (errno.EBUSY, errno.EPERM):
        return QueueTaken(f"queue {number} cannot be bound: {error.strerror}", "another program reads this NFQUEUE")
    hint = with_reason("the kernel needs NETFILTER_NETLINK_QUEUE (modprobe nfnetlink_queue)")
    return SnitchError(f"queue {number}: {error}", hint_for(error, hint))
