"""A TCP segment (RFC 9293 3.1): where in its stream its bytes belong, and whether it opens or ends the stream."""

from struct import Struct

import msgspec

from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.flow import TCP
from tinysnitch.core.packets.packet import Packet, payload_of

_NUMBERS = Struct("!4xIIxB")  # ports; sequence and acknowledgement number; data offset; flags
_FIN, _SYN, _RST, _ACK = 0x01, 0x02, 0x04, 0x10


class Segment(msgspec.Struct, frozen=True):
    sequence: int  # of the first byte; of the SYN where there is one
    acknowledgement: int
    flags: int
    payload: bytes = b""

    @property
    def is_opening(self) -> bool:
        return bool(self.flags & _SYN)

    @property
    def is_acknowledging(self) -> bool:
        return bool(self.flags & _ACK)

    @property
    def is_last(self) -> bool:
        """Whether its sender sends no more (FIN), or ends the connection at once (RST)."""
        return bool(self.flags & (_FIN | _RST))

    @property
    def data_sequence(self) -> int:
        """Number of the first byte of the payload: a SYN takes up a number of its own."""
        return (self.sequence + self.is_opening) & 0xFFFFFFFF


Payload = bytes | Segment  # what a packet carries: a datagram's bytes, or a segment of TCP


def parse_segment(packet: Packet, payload: bytes | memoryview) -> Segment:
    """The segment in the bytes that the packet was parsed from. Raises Malformed."""
    if packet.protocol != TCP or packet.is_fragment:
        raise Malformed("not a whole TCP segment")
    sequence, acknowledgement, flags = _NUMBERS.unpack_from(payload, packet.transport_offset)
    return Segment(sequence, acknowledgement, flags, payload_of(packet, payload))
