"""What a packet is, before the engine sees it."""

from collections.abc import Iterator
from contextlib import closing

import msgspec
import pytest

from tests.daemon.loop.driver_place import SmallAttributor, SmallQueue, datagram, syn
from tinysnitch.core.engine.events import DataSent, PacketQueued, QuestionSent
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.flow import Flow
from tinysnitch.core.model.process import Asker
from tinysnitch.kernel.attribution.socket_holders import ScanNotDue
from tinysnitch.kernel.bpf.layout import Asked
from tinysnitch.kernel.nfqueue.intake import EARLY_S, NO_PACKET, PASS, TOO_LATE, Hold, Intake, Judge, unread
from tinysnitch.kernel.nfqueue.nat_replies import NatReplies
from tinysnitch.kernel.nfqueue.packet_events import LOCAL_IN, LOCAL_OUT, POST_ROUTING, PacketEvents
from tinysnitch.kernel.nfqueue.verdicts import VerdictSink

NOW = Instant(7.0, 1_700_000_000.0)


WHOLE = Asked(5_500_000_000, 7, 1000, len(datagram(1).payload), datagram(1).payload)
CUT = Asked(6_000_000_000, 7, 1000, 4, datagram(1).payload)


class KnownReplies(NatReplies):
    """Every packet to local port 1 answers something."""

    def __init__(self) -> None:
        super().__init__(None)

    def let_pass(self, flow: Flow, _interface: int) -> bool:
        return flow.local_port == 1


@pytest.fixture
def attributor() -> SmallAttributor:
    return SmallAttributor()


@pytest.fixture
def intake(attributor: SmallAttributor) -> Iterator[Intake]:
    """Of flows from local port 2 more may be known in a moment."""
    events = PacketEvents(attributor, lambda _index: "eth0")
    with closing(SmallQueue()) as queue, closing(SmallQueue()) as names:
        verdicts = VerdictSink(queue, names, None)  # type: ignore[arg-type]
        yield Intake(events, KnownReplies(), verdicts, lambda flow, *_else: flow.local_port == 2, lambda: [WHOLE, CUT])


def test_a_packet_is_judged_passes_or_is_held_for_a_name(intake: Intake) -> None:
    answer = msgspec.structs.replace(syn(1, port=1), hook=LOCAL_IN)
    judged, passed, held = (intake.take_connection(queued, NOW) for queued in (syn(3, 3), answer, syn(2, 2)))
    assert isinstance(judged, Judge)
    assert isinstance(judged.event, PacketQueued)
    assert passed == PASS
    assert isinstance(held, Hold)
    assert (held.wait_s, held.event and held.event.packet_id) == (EARLY_S, 2)


def test_what_waits_for_a_scan_is_taken_in_anew(intake: Intake, attributor: SmallAttributor) -> None:
    attributor.claim = ScanNotDue(0.5)
    assert intake.take_connection(syn(3), NOW) == Hold(0.5)
    assert intake.take_message(datagram(4), NOW) == Hold(0.5)


def test_what_cannot_be_told_is_dropped_and_counted(intake: Intake, attributor: SmallAttributor) -> None:
    assert intake.take_connection(msgspec.structs.replace(syn(3), payload=b"\x45"), NOW) == NO_PACKET
    attributor.is_note_lost = True
    assert intake.take_connection(syn(4), NOW) == TOO_LATE
    assert (intake.malformed, intake.too_late) == (1, 1)


def test_messages_and_what_a_connection_sends_are_judged(intake: Intake) -> None:
    said = msgspec.structs.replace(syn(4), payload=syn(4).payload + b"GET / HTTP/1.1")
    for queued, kind in ((datagram(3), QuestionSent), (said, DataSent)):
        taken = intake.take_message(queued, NOW)
        assert isinstance(taken, Judge)
        assert isinstance(taken.event, kind)


def test_a_question_that_left_has_its_own_time_and_one_that_cannot_be_read_costs_no_other(intake: Intake) -> None:
    (event, asked_s) = next(intake.take_questions())
    assert (event.packet_id, event.asker, event.payload, asked_s) == (None, Asker(7, 1000), b"no DNS", 5.5)
    assert len(list(intake.take_questions())) == 1
    assert intake.malformed == 1


@pytest.mark.parametrize(("hook", "expected"), [(LOCAL_OUT, NO_PACKET), (POST_ROUTING, PASS)])
def test_a_message_that_cannot_be_read_goes_on_and_what_a_connection_sends_does_not(
    intake: Intake, hook: int, expected: object
) -> None:
    broken = msgspec.structs.replace(datagram(3), hook=hook, payload=b"\x45")
    assert intake.take_message(broken, NOW) == expected
    assert unread(broken, NO_PACKET) == expected
