import contextlib
import struct

import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tinysnitch.core.dns.message import parse_answer
from tinysnitch.core.dns.wire import MAX_MESSAGE_BYTES
from tinysnitch.core.engine.events import AnswerReceived, DataSent, QuestionSent
from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.flow import TCP, UDP, Direction, Flow, parse_address
from tinysnitch.core.model.process import UNKNOWN, Asker, AttributedPacket
from tinysnitch.core.packets.packet import Segment
from tinysnitch.kernel.bpf.layout import ASKED_SIZE, Asked
from tinysnitch.kernel.nfqueue.packet_events import LOCAL_IN, LOCAL_OUT, POST_ROUTING, PacketEvents
from tinysnitch.kernel.nfqueue.queue import QueuedPacket

OURS, THEIRS = parse_address("10.0.0.1"), parse_address("10.0.0.9")


class Attributor:
    """Knows every flow's socket by its local port."""

    def __init__(self) -> None:
        self.interfaces: list[int] = []

    def attribute(self, flow: Flow, interface: int = 0, sender_uid: int | None = None) -> AttributedPacket:
        self.interfaces.append(interface)
        return AttributedPacket(UNKNOWN, flow.local_port)

    def find_asker(self, flow: Flow, interface: int, sender_uid: int | None) -> Asker:
        self.interfaces.append(interface)
        return Asker(9, 1000)


def make_packet(protocol: int, ports: tuple[int, int], source: bytes, destination: bytes, body: bytes = b"") -> bytes:
    size = 8 if protocol == UDP else 20
    transport = struct.pack("!HHHH", *ports, size + len(body), 0).ljust(12, b"\0") + b"\x50\x02".ljust(8, b"\0")
    total = 20 + size + len(body)
    header = struct.pack("!BBHHHBBH", 0x45, 0, total, 0, 0, 64, protocol, 0) + source[12:] + destination[12:]
    return header + transport[:size] + body


def queued(payload: bytes, hook: int) -> QueuedPacket:
    return QueuedPacket(7, hook, 2 * (hook == LOCAL_IN), 3 * (hook != LOCAL_IN), 0, payload)


@pytest.fixture
def attributor() -> Attributor:
    return Attributor()


@pytest.fixture
def events(attributor: Attributor) -> PacketEvents:
    return PacketEvents(attributor, ["", "lo", "eth0", "wlan0"].__getitem__)


def test_an_outbound_packet(events: PacketEvents) -> None:
    event = events.connection_event(queued(make_packet(TCP, (4000, 80), OURS, THEIRS), LOCAL_OUT))
    assert event.flow == Flow(TCP, Direction.OUTBOUND, OURS, 4000, THEIRS, 80)
    assert (event.packet_id, event.interface, event.cookie) == (7, "wlan0", 4000)


@pytest.mark.parametrize(("hook", "interface"), [(LOCAL_OUT, 3), (LOCAL_IN, 2)])
def test_a_socket_is_looked_for_with_the_interface_of_the_packet(
    events: PacketEvents, attributor: Attributor, hook: int, interface: int
) -> None:
    """Without the interface the kernel would go through all sockets if the program has ended."""
    events.connection_event(queued(make_packet(TCP, (4000, 80), OURS, THEIRS), hook))
    assert attributor.interfaces == [interface]


@pytest.mark.parametrize("hook", [LOCAL_OUT, POST_ROUTING])
def test_so_it_is_for_messages(events: PacketEvents, attributor: Attributor, hook: int) -> None:
    events.message_event(queued(make_packet(TCP, (4000, 80), OURS, THEIRS), hook))
    assert attributor.interfaces == [3]


def test_an_inbound_packet(events: PacketEvents) -> None:
    event = events.connection_event(queued(make_packet(UDP, (4000, 53), THEIRS, OURS), LOCAL_IN))
    assert event.flow == Flow(UDP, Direction.INBOUND, OURS, 53, THEIRS, 4000)
    assert (event.interface, event.cookie) == ("eth0", 53)


@pytest.mark.parametrize("hook", [LOCAL_OUT, POST_ROUTING])
@pytest.mark.parametrize("port", [4000, 53])  # resolvers may ask from port 53
def test_a_question_and_its_answer_are_of_one_flow(events: PacketEvents, hook: int, port: int) -> None:
    flow = Flow(UDP, Direction.OUTBOUND, OURS, port, THEIRS, 53)
    question = events.message_event(queued(make_packet(UDP, (port, 53), OURS, THEIRS, b"who?"), hook))
    assert question == QuestionSent(7, flow, Asker(9, 1000), b"who?")
    answer = events.message_event(queued(make_packet(UDP, (53, port), THEIRS, OURS, b"me"), LOCAL_IN))
    assert answer == AnswerReceived(7, flow, b"me")


def copy_of(packet: bytes) -> Asked:
    return Asked(time_ns=5, exec_id=9, uid=1000, size=len(packet), packet=packet.ljust(ASKED_SIZE, b"\0"))


def test_a_question_that_was_copied_is_as_one_that_is_held(events: PacketEvents) -> None:
    packet = make_packet(UDP, (4000, 53), OURS, THEIRS, b"who?")
    held = events.message_event(queued(packet, POST_ROUTING))
    assert isinstance(held, QuestionSent)
    assert events.copied_question(copy_of(packet)) == replace(held, packet_id=None)
    with pytest.raises(Malformed):
        events.copied_question(copy_of(packet[:6] + b"\x20" + packet[7:]))  # a first fragment


@pytest.mark.parametrize("hook", [LOCAL_OUT, POST_ROUTING])
def test_a_piece_of_a_stream(events: PacketEvents, hook: int) -> None:
    flow = Flow(TCP, Direction.OUTBOUND, OURS, 4000, THEIRS, 53)
    question = events.message_event(queued(make_packet(TCP, (4000, 53), OURS, THEIRS, b"who?"), hook))
    assert question == QuestionSent(7, flow, Asker(9, 1000), Segment(0x00180000, 0, 0x02, b"who?"))
    answer = events.message_event(queued(make_packet(TCP, (53, 4000), THEIRS, OURS, b"me"), LOCAL_IN))
    assert answer == AnswerReceived(7, flow, Segment(0x00160000, 0, 0x02, b"me"))


def test_what_a_connection_says(events: PacketEvents) -> None:
    for protocol, payload in ((TCP, Segment(0x00180000, 0, 0x02, b"hello")), (UDP, b"hello")):
        event = events.message_event(queued(make_packet(protocol, (4000, 443), OURS, THEIRS, b"hello"), LOCAL_OUT))
        flow = Flow(protocol, Direction.OUTBOUND, OURS, 4000, THEIRS, 443)
        if protocol == TCP:
            payload = Segment(event.payload.sequence, 0, 0x02, b"hello")  # the helper puts the ports in there
        assert event == DataSent(7, flow, UNKNOWN, "wlan0", 4000, payload)


def test_what_a_routing_header_led_elsewhere_does_not_go_on(events: PacketEvents) -> None:
    segment = make_packet(TCP, (4000, 443), OURS, THEIRS, b"hello")[20:]
    routing = bytes([TCP, 0, 4, 0, 0, 0, 0, 0])  # RFC 8200 4.4, no segments left
    header = struct.pack("!IHBB", 6 << 28, len(routing + segment), 43, 64) + 2 * parse_address("2001:db8::1")
    with pytest.raises(Malformed, match="routing header"):
        events.message_event(queued(header + routing + segment, LOCAL_OUT))


@pytest.mark.parametrize("port", [53, 5353, 5355])
def test_a_question_that_is_held_says_what_it_asks_for(events: PacketEvents, port: int) -> None:
    wire = dns.message.make_query("Shop.test", "A").to_wire()

    def asked(protocol: int = UDP, destination: int = port, body: bytes = wire, hook: int = LOCAL_OUT) -> str | None:
        packet = make_packet(protocol, (4000, destination), OURS, THEIRS, body)
        return events.connection_event(queued(packet, hook)).asked_name

    assert asked() == "shop.test"
    assert asked(hook=LOCAL_IN) is None
    assert asked(protocol=TCP) is None
    assert asked(destination=54) is None
    assert asked(body=b"no question") is None


def test_of_many_questions_to_the_link_the_first_is_told(events: PacketEvents) -> None:
    message = dns.message.make_query("one.local", "A")
    message.question.append(dns.rrset.from_text("two.local.", 0, "IN", "A"))
    wire = message.to_wire()
    for port, name in ((5353, "one.local"), (53, None)):
        held = queued(make_packet(UDP, (4000, port), OURS, THEIRS, wire), LOCAL_OUT)
        assert events.connection_event(held).asked_name == name


def test_a_datagram_that_begins_no_quic_says_nothing(events: PacketEvents) -> None:
    initial = b"\xc0\x00\x00\x00\x01\x08"

    def is_silent(body: bytes, protocol: int = UDP, hook: int = LOCAL_OUT) -> bool:
        return events.connection_event(
            queued(make_packet(protocol, (4000, 443), OURS, THEIRS, body), hook)
        ).says_nothing

    assert is_silent(b"hello")
    assert is_silent(b"")
    assert not is_silent(initial)
    assert not is_silent(b"hello", protocol=TCP)
    assert not is_silent(b"hello", hook=LOCAL_IN)
    part = make_fragment(UDP, (4000, 443), b"hello")  # what follows may say one
    assert not events.connection_event(queued(part, LOCAL_OUT)).says_nothing


def make_fragment(protocol: int, ports: tuple[int, int], body: bytes) -> bytes:
    fragment = bytearray(make_packet(protocol, ports, THEIRS, OURS, body))
    fragment[6] = 0x20  # more fragments (RFC 791 3.1)
    return bytes(fragment)


def test_of_an_answer_in_fragments_the_first_teaches_what_it_holds(events: PacketEvents) -> None:
    answer = dns.message.make_response(dns.message.make_query("shop.test", "AAAA"))
    for address in ("2001:db8::1", "2001:db8::2"):
        answer.answer.append(dns.rrset.from_text("shop.test.", 60, "IN", "AAAA", address))
    part = answer.to_wire()[:-8]
    read = read_answer(events, make_fragment(UDP, (53, 4000), part))
    assert parse_answer(read).addresses == ((parse_address("2001:db8::1"), 60),)
    with pytest.raises(Malformed):
        parse_answer(part)


def test_a_whole_answer_is_taken_as_it_is(events: PacketEvents) -> None:
    wire = dns.message.make_response(dns.message.make_query("shop.test", "A")).to_wire()
    assert read_answer(events, make_packet(UDP, (53, 4000), THEIRS, OURS, wire)) == wire


@pytest.mark.parametrize(("size", "is_read"), [(MAX_MESSAGE_BYTES, True), (MAX_MESSAGE_BYTES + 1, False)])
def test_nothing_is_read_of_what_would_be_too_long_as_a_whole(events: PacketEvents, size: int, is_read: bool) -> None:
    fragment = bytearray(make_fragment(UDP, (53, 4000), b"part of an answer"))
    fragment[24:26] = struct.pack("!H", 8 + size)
    assert bool(read_answer(events, bytes(fragment))) == is_read


def read_answer(events: PacketEvents, payload: bytes) -> bytes:
    event = events.message_event(queued(payload, LOCAL_IN))
    assert isinstance(event, AnswerReceived)
    assert isinstance(event.payload, bytes)
    return event.payload


def test_what_is_no_message_is_malformed(events: PacketEvents) -> None:
    outbound = (make_fragment(UDP, (4000, 53), b"part"), LOCAL_OUT)
    stream = (make_fragment(TCP, (53, 4000), b"part"), LOCAL_IN)
    for payload, hook in (outbound, stream, (make_packet(132, (53, 4000), THEIRS, OURS), LOCAL_IN), (b"", LOCAL_IN)):
        with pytest.raises(Malformed):
            events.message_event(queued(payload, hook))


@given(st.binary(max_size=80), st.sampled_from([b"", b"\x45", b"\x60"]), st.integers(0, 4))
def test_random_bytes_are_malformed_at_worst(data: bytes, start: bytes, hook: int) -> None:
    events = PacketEvents(Attributor(), str)
    for parse in (events.connection_event, events.message_event):
        with contextlib.suppress(Malformed):
            parse(queued(start + data, hook))
