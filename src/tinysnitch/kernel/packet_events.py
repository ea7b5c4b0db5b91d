"""From a queued packet to an event: whose flow it is, and which way it goes."""

from collections.abc import Callable
from typing import Protocol

from tinysnitch.core.errors import Malformed
from tinysnitch.core.events import AnswerReceived, PacketQueued, QuestionSent
from tinysnitch.core.flow import UDP, Direction, Flow
from tinysnitch.core.packet import Packet, flow_of, parse_packet
from tinysnitch.kernel.attribution import Claim
from tinysnitch.kernel.nfqueue import QueuedPacket

# include/uapi/linux/netfilter.h, enum nf_inet_hooks
LOCAL_IN = 1
LOCAL_OUT = 3
POST_ROUTING = 4


class Attributor(Protocol):
    """What is asked of kernel/attribution.py."""

    def attribute(self, flow: Flow) -> Claim: ...


class PacketEvents:
    def __init__(self, attributor: Attributor, find_interface: Callable[[int], str]) -> None:
        self._attributor = attributor
        self._find_interface = find_interface

    def connection_event(self, queued: QueuedPacket) -> PacketQueued:
        """A packet of the connections queue; raises Malformed."""
        is_inbound = queued.hook == LOCAL_IN
        flow = flow_of(parse_packet(queued.payload), Direction.INBOUND if is_inbound else Direction.OUTBOUND)
        claim = self._attributor.attribute(flow)
        interface = self._find_interface(queued.in_interface if is_inbound else queued.out_interface)
        return PacketQueued(queued.packet_id, flow, claim.attribution, interface, claim.cookie)

    def message_event(self, queued: QueuedPacket) -> QuestionSent | AnswerReceived:
        """A packet of the names queue; raises Malformed."""
        packet = parse_packet(queued.payload)
        if packet.protocol != UDP or packet.is_fragment:
            raise Malformed("not a whole DNS message over UDP")
        message = bytes(queued.payload[packet.payload_offset : packet.payload_end])
        if queued.hook == POST_ROUTING:
            flow = flow_of(packet, Direction.OUTBOUND)
            return QuestionSent(queued.packet_id, flow, self._attributor.attribute(flow).attribution, message)
        return AnswerReceived(queued.packet_id, asked_flow(packet), message)


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
