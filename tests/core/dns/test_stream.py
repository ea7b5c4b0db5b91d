"""Told as a talk between a program and a resolver, segment by segment."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.core.dns.stream import IDLE_S, MAX_MESSAGES, DnsStreams
from tinysnitch.core.dns.wire import MAX_MESSAGE_BYTES
from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.flow import TCP, Direction, Flow, parse_address
from tinysnitch.core.model.tables import TableStatistics
from tinysnitch.core.packets.byte_stream import MAX_EARLY_BYTES
from tinysnitch.core.packets.packet import Segment

SYN, ACK, FIN, RST = 0x02, 0x10, 0x01, 0x04
OURS, THEIRS = 1000, 0xFFFFFFF0  # initial sequence numbers; the resolver's start again soon
FIRST, SECOND, LARGE = b"first message", b"the second one", bytes(MAX_MESSAGE_BYTES + 1)


def flow_of(port: int = 40000) -> Flow:
    return Flow(TCP, Direction.OUTBOUND, parse_address("10.0.0.2"), port, parse_address("10.0.0.53"), 53)


def framed(*messages: bytes) -> bytes:
    return b"".join(len(message).to_bytes(2, "big") + message for message in messages)


class Talk:
    def __init__(self, capacity: int = 8) -> None:
        self.streams = DnsStreams(capacity)
        self.now_s = 1000.0

    def connect(self, port: int = 40000, user: int = 0) -> None:
        self.streams.read_questions(flow_of(port), Segment(OURS, 0, SYN), self.now_s, user=user)
        self.streams.read_answers(flow_of(port), Segment(THEIRS, OURS + 1, SYN | ACK), self.now_s)

    def ask(self, data: bytes, at: int = 0, port: int = 40000, flags: int = ACK) -> list[bytes]:
        return self.streams.read_questions(flow_of(port), Segment(OURS + 1 + at, 0, flags, data), self.now_s)

    def hear(self, data: bytes, at: int = 0, port: int = 40000, flags: int = ACK) -> list[bytes]:
        sequence = (THEIRS + 1 + at) & 0xFFFFFFFF
        return self.streams.read_answers(flow_of(port), Segment(sequence, 0, flags, data), self.now_s)


@pytest.fixture
def talk() -> Talk:
    made = Talk()
    made.connect()
    return made


def test_a_question_and_its_answer(talk: Talk) -> None:
    assert talk.ask(framed(FIRST)) == [FIRST]
    assert talk.hear(framed(SECOND)) == [SECOND]


def test_several_messages_in_one_segment_and_one_in_several(talk: Talk) -> None:
    stream = framed(FIRST, SECOND, FIRST)
    assert talk.hear(stream[:1]) == []
    assert talk.hear(stream[1:5], at=1) == []
    assert talk.hear(stream[5:-1], at=5) == [FIRST, SECOND]
    assert talk.hear(stream[-1:], at=len(stream) - 1) == [FIRST]


def test_the_segment_that_fills_the_gap_completes_the_answer(talk: Talk) -> None:
    stream = framed(FIRST)
    assert talk.hear(stream[8:], at=8) == []
    assert talk.hear(stream[8:], at=8) == []
    assert talk.hear(stream[:10]) == [FIRST]
    assert talk.hear(stream) == []


def test_a_message_larger_than_is_read_is_skipped(talk: Talk) -> None:
    stream = framed(FIRST, LARGE, SECOND)
    found = [message for at in range(0, len(stream), 1000) for message in talk.hear(stream[at : at + 1000], at=at)]
    assert found == [FIRST, b"", SECOND]
    assert talk.hear(stream, at=len(stream)) == [FIRST, b"", SECOND]


@pytest.mark.parametrize("size", [12, MAX_MESSAGE_BYTES])
def test_the_smallest_and_the_largest_message_are_read(talk: Talk, size: int) -> None:
    assert talk.hear(framed(bytes(size))) == [bytes(size)]


@pytest.mark.parametrize("size", [0, 11])
def test_what_cannot_be_a_message_ends_the_reading(talk: Talk, size: int) -> None:
    with pytest.raises(Malformed, match=f"{size} bytes"):
        talk.hear(framed(bytes(size), FIRST))
    with pytest.raises(Malformed, match="beginning"):
        talk.hear(framed(FIRST))
    assert talk.streams.given_up == 1


def test_more_messages_than_anyone_sends_at_once_end_the_reading(talk: Talk) -> None:
    many = framed(*[FIRST] * MAX_MESSAGES)
    assert talk.ask(many) == [FIRST] * MAX_MESSAGES
    with pytest.raises(Malformed, match="more than"):
        talk.ask(many + framed(FIRST), len(many))
    assert talk.ask(framed(FIRST), 2 * len(many)) == []
    assert talk.streams.given_up == 1


def test_a_connection_from_before_is_not_read() -> None:
    talk = Talk()
    assert talk.ask(framed(FIRST)) == []
    with pytest.raises(Malformed, match="beginning"):
        talk.hear(framed(FIRST))
    assert talk.hear(b"") == []


def test_a_gap_too_large_ends_the_reading_for_good(talk: Talk) -> None:
    with pytest.raises(Malformed, match="early"):
        talk.hear(framed(FIRST), at=MAX_EARLY_BYTES)
    assert talk.ask(framed(FIRST)) == []
    with pytest.raises(Malformed, match="beginning"):
        talk.hear(framed(FIRST))


def test_a_syn_that_answers_another_one_does_not_count() -> None:
    talk = Talk()
    flow = flow_of()
    talk.streams.read_questions(flow, Segment(OURS, 0, SYN), 1.0)
    talk.streams.read_answers(flow, Segment(5, OURS + 7, SYN | ACK), 1.0)
    talk.streams.read_answers(flow, Segment(5, OURS + 1, SYN), 1.0)
    with pytest.raises(Malformed, match="beginning"):
        talk.streams.read_answers(flow, Segment(6, 0, ACK, framed(FIRST)), 1.0)


def test_nothing_but_a_syn_begins_what_the_resolver_says() -> None:
    talk, flow = Talk(), flow_of()
    talk.streams.read_questions(flow, Segment(OURS, 0, SYN), 1.0)
    with pytest.raises(Malformed, match="beginning"):
        talk.streams.read_answers(flow, Segment(5, OURS + 1, ACK, framed(FIRST)), 1.0)


def test_another_syn_of_the_resolver_begins_nothing_anew(talk: Talk) -> None:
    talk.streams.read_answers(flow_of(), Segment(5, OURS + 1, SYN | ACK), talk.now_s)
    assert talk.hear(framed(FIRST)) == [FIRST]


@pytest.mark.parametrize("taken", [0, 15])
def test_a_question_in_the_syn(taken: int) -> None:
    talk, flow = Talk(), flow_of()
    assert talk.streams.read_questions(flow, Segment(OURS, 0, SYN, framed(FIRST)), 1.0) == [FIRST]
    talk.streams.read_answers(flow, Segment(THEIRS, OURS + 1 + taken, SYN | ACK), 1.0)
    assert talk.ask(framed(FIRST)) == []
    assert talk.hear(framed(SECOND)) == [SECOND]


def test_a_second_syn_on_the_same_ports_is_a_new_connection(talk: Talk) -> None:
    talk.ask(framed(FIRST)[:5])
    talk.connect()
    assert talk.ask(framed(SECOND)) == [SECOND]


def test_the_last_segment_makes_room(talk: Talk) -> None:
    stream = framed(FIRST)
    assert talk.hear(b"", at=len(stream), flags=FIN | ACK) == []
    assert talk.streams.statistics().used == 1
    assert talk.hear(stream, flags=FIN | ACK) == [FIRST]
    assert talk.streams.statistics() == TableStatistics(used=0, evicted=0)


def test_connections_are_bounded_and_counted(talk: Talk) -> None:
    for port in range(40001, 40009):
        talk.connect(port)
    assert talk.streams.statistics() == TableStatistics(used=8, evicted=1)
    with pytest.raises(Malformed, match="beginning"):
        talk.hear(framed(FIRST))
    assert talk.hear(framed(FIRST), port=40008) == [FIRST]


def test_no_users_connections_push_out_those_of_others(talk: Talk) -> None:
    for port in range(40001, 40100):
        talk.connect(port, user=1000)
    assert talk.streams.statistics() == TableStatistics(used=8, evicted=92)
    assert talk.hear(framed(FIRST)) == [FIRST]


def test_idle_connections_make_room_without_a_loss(talk: Talk) -> None:
    for port in range(40001, 40004):
        talk.connect(port)
    talk.now_s += IDLE_S + 1
    talk.connect(40004)
    assert talk.streams.statistics() == TableStatistics(used=1, evicted=0)


def test_a_connection_in_use_is_not_idle(talk: Talk) -> None:
    talk.connect(40001)
    talk.now_s += IDLE_S
    talk.ask(b"")
    talk.now_s += IDLE_S
    talk.connect(40002)
    assert talk.streams.statistics() == TableStatistics(used=2, evicted=0)


@given(st.lists(st.integers(1, 40), max_size=10), st.randoms(use_true_random=False))
def test_however_the_stream_is_cut_and_mixed(sizes: list[int], chance: st.DataObject) -> None:
    messages = [bytes([number]) * (12 + size) for number, size in enumerate(sizes)]
    stream = framed(*messages)
    cuts = [0, *sorted(chance.sample(range(len(stream)), min(len(stream), 6))), len(stream)]  # type: ignore[attr-defined]
    segments = [(start, stream[start:end]) for start, end in pairwise(cuts)]
    chance.shuffle(segments)  # type: ignore[attr-defined]
    talk = Talk()
    talk.connect()
    assert [message for at, data in segments for message in talk.hear(data, at=at)] == messages
