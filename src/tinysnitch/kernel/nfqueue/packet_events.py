"""Makes an event of a queued packet: attributes its flow, and reads what it asks for or answers."""

from collections.abc import Callable
from typing import Protocol

from tinysnitch.core.dns.link_names import LINK_PORTS, parse_link_questions
from tinysnitch.core.dns.message import parse_question
from tinysnitch.core.dns.wire import MAX_MESSAGE_BYTES, mark_truncated
from tinysnitch.core.engine.events import AnswerReceived, DataSent, PacketQueued, QuestionSent
from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.flow import DNS_PORT, TCP, UDP, Direction, Flow
from tinysnitch.core.model.process import Asker, AttributedPacket
from tinysnitch.core.packets.packet import Packet, Payload, flow_of, parse_packet, parse_segment, payload_of, whole_size
from tinysnitch.core.tls.quic_initial import may_be_initial
from tinysnitch.kernel.bpf.layout import Asked
from tinysnitch.kernel.nfqueue.queue import QueuedPacket

# include/uapi/linux/netfilter.h, enum nf_inet_hooks
LOCAL_IN = 1
LOCAL_OUT = 3
POST_ROUTING = 4

_NAME_PORTS = frozenset({DNS_PORT, *LINK_PORTS})


class NoteLost(Exception):
    """The packet waited so long, in a flood, that the note of whose it is made room for newer ones."""


class ClaimSource(Protocol):
    """What is asked of kernel/attribution/attribution.py."""

    def attribute(self, flow: Flow, interface: int = 0, sender_uid: int | None = None) -> AttributedPacket: ...
    def find_asker(self, flow: Flow, interface: int, sender_uid: int | None, /) -> Asker: ...


class PacketEvents:
    def __init__(self, attributor: ClaimSource, find_interface: Callable[[int], str]) -> None:
        self._attributor = attributor
        self._find_interface = find_interface
        self.lost_askers = 0  # DNS questions for which the note of who asked is lost

    def connection_event(self, queued: QueuedPacket) -> PacketQueued:
        """A packet of the connections queue; raises Malformed, ScanNotDue, NoteLost."""
        is_inbound = queued.hook == LOCAL_IN
        packet = parse_packet(queued.payload)
        flow = flow_of(packet, Direction.INBOUND if is_inbound else Direction.OUTBOUND)
        index = queued.in_interface if is_inbound else queued.out_interface
        claim = self._attributor.attribute(flow, index, queued.sender_uid)
        if claim.is_note_lost:
            raise NoteLost
        is_read = packet.protocol == UDP and not (is_inbound or packet.is_fragment)
        asked_name, says_nothing = _read_datagram(packet, queued.payload) if is_read else (None, False)
        return PacketQueued(
            queued.packet_id,
            flow,
            claim.attribution,
            self._find_interface(index),
            claim.cookie,
            asked_name,
            says_nothing,
            index,
        )

    def message_event(self, queued: QueuedPacket) -> QuestionSent | AnswerReceived | DataSent:
        """A packet of the names queue; raises Malformed, ScanNotDue, NoteLost."""
        packet = parse_packet(queued.payload)
        message = _message_of(packet, queued.hook, queued.payload)
        # Other outbound packets that are read here are data of watched connections, to no resolver.
        if queued.hook == POST_ROUTING or (queued.hook == LOCAL_OUT and packet.destination_port == DNS_PORT):
            flow = flow_of(packet, Direction.OUTBOUND)
            asker = self._attributor.find_asker(flow, queued.out_interface, queued.sender_uid)
            self.lost_askers += asker.is_note_lost
            return QuestionSent(queued.packet_id, flow, asker, message)
        if queued.hook == LOCAL_OUT:
            if packet.is_routed:  # its connection was judged by the address that it was opened to
                raise Malformed("a routing header leads a connection elsewhere")
            return self._data_event(queued, flow_of(packet, Direction.OUTBOUND), message)
        return AnswerReceived(queued.packet_id, asked_flow(packet), message)

    def copied_question(self, asked: Asked) -> QuestionSent:
        """A question that left; raises Malformed."""
        payload = asked.packet[: asked.size]
        packet = parse_packet(payload)
        message = _message_of(packet, POST_ROUTING, payload)
        return QuestionSent(None, flow_of(packet, Direction.OUTBOUND), Asker(asked.exec_id, asked.uid), message)

    def _data_event(self, queued: QueuedPacket, flow: Flow, payload: Payload) -> DataSent:
        claim = self._attributor.attribute(flow, queued.out_interface, queued.sender_uid)
        if claim.is_note_lost:  # a rule for its program may deny what it says
            raise NoteLost
        interface = self._find_interface(queued.out_interface)
        return DataSent(queued.packet_id, flow, claim.attribution, interface, claim.cookie, payload)


def _message_of(packet: Packet, hook: int, payload: bytes) -> Payload:
    if packet.protocol == TCP:
        return parse_segment(packet, payload)
    if packet.protocol != UDP or (packet.is_fragment and hook != LOCAL_IN):
        raise Malformed("not a whole datagram of UDP")
    message = payload_of(packet, payload)
    return _read_part(packet, payload, message) if packet.is_fragment else message


def _read_part(packet: Packet, payload: bytes, part: bytes) -> bytes:
    """The first fragment of a message over IPv6, marked as truncated: LOCAL_IN sees fragments, and the others have no
    ports. Empty if the whole would be too long for a message."""
    return mark_truncated(part) if whole_size(packet, payload) <= MAX_MESSAGE_BYTES else b""


def _read_datagram(packet: Packet, payload: bytes) -> tuple[str | None, bool]:
    """The name that a held DNS question asks for; and whether the datagram cannot name its remote, as QUIC does."""
    datagram = payload_of(packet, payload)
    name = _find_asked_name(packet.destination_port, datagram) if packet.destination_port in _NAME_PORTS else None
    return name, not may_be_initial(datagram)


def _find_asked_name(port: int, message: bytes) -> str | None:
    try:
        if port == DNS_PORT:
            return parse_question(message).name
        return next((question.name for question in parse_link_questions(message)), None)
    except Malformed:
        return None


def asked_flow(answer: Packet) -> Flow:
    """The flow of the question, from the packet that answers it."""
    return Flow(
        protocol=answer.protocol,
        direction=Direction.OUTBOUND,
        local=answer.destination,
        local_port=answer.destination_port,
        remote=answer.source,
        remote_port=answer.source_port,
    )
