"""Takes a packet in: says what it is before the engine sees it. Nothing else is asked about a packet on its way there.

`Judge`: the engine decides. `Hold`: it is too early to say. `Drop`: nobody can say any more, or it is no packet.
`Pass`: it needs no decision. What cannot be read is counted here, by its reason.
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from tinysnitch.core.engine.events import AnswerReceived, DataSent, PacketQueued, QuestionSent
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.flow import Flow
from tinysnitch.core.model.process import exec_id_of
from tinysnitch.kernel.attribution.socket_holders import ScanNotDue
from tinysnitch.kernel.bpf.layout import Asked
from tinysnitch.kernel.nfqueue.nat_replies import NatReplies
from tinysnitch.kernel.nfqueue.packet_events import LOCAL_IN, LOCAL_OUT, NoteLost, PacketEvents
from tinysnitch.kernel.nfqueue.queue import QueuedPacket
from tinysnitch.kernel.nfqueue.verdicts import VerdictSink

EARLY_S = 0.005  # to wait for a resolver's answer to be told, or for a new resolv.conf to be read: mostly 0.5 ms do


class Judge(msgspec.Struct, frozen=True, gc=False):
    event: PacketQueued | QuestionSent | AnswerReceived | DataSent


class Hold(msgspec.Struct, frozen=True, gc=False):
    """Hold the packet for so long. Then its event is judged, or without one it is taken in anew."""

    wait_s: float
    event: PacketQueued | None = None


class Drop(msgspec.Struct, frozen=True, gc=False):
    reason: str


class Pass(msgspec.Struct, frozen=True, gc=False):
    """Let it go on, without a decision."""


Intaken = Judge | Hold | Drop | Pass

PASS = Pass()
NO_PACKET = Drop("it cannot be parsed")
TOO_LATE = Drop("it waited until the note of its process was lost")
FAILED = Drop("the daemon failed; its log tells why")
GOES_ROUND = Drop("it comes back again and again, and nobody can tell who takes it")


class Intake:
    def __init__(
        self,
        events: PacketEvents,
        nat_replies: NatReplies,
        verdicts: VerdictSink,
        is_early: Callable[[Flow, int, float], bool],
        read_questions: Callable[[], Iterable[Asked]] = tuple,
    ) -> None:
        """`is_early`: whether more may be known of a flow's remote in a moment, as the program means it.
        `read_questions`: DNS questions that left without being held."""
        self.events = events
        self._nat_replies = nat_replies
        self._verdicts = verdicts
        self._is_early = is_early
        self._read_questions = read_questions
        self.malformed = 0  # packets that could not be parsed
        self.too_late = 0  # packets dropped since nobody can tell any more whose they are

    def take_connection(self, queued: QueuedPacket, now: Instant) -> Intaken:
        """A packet of the connections queue, which begins a flow or waits for the verdict on it."""
        try:
            event = self.events.connection_event(queued)
        except Malformed:
            self.malformed += 1
            return NO_PACKET
        except NoteLost:  # as when the queue is full
            self.too_late += 1
            return TOO_LATE
        except ScanNotDue as early:
            return Hold(early.wait_s)
        self._verdicts.note_mark(queued.packet_id, event.flow, queued.mark)
        if queued.mark and self._verdicts.goes_round(event.flow, queued.mark, now.boot_s):
            self.too_late += 1
            return GOES_ROUND
        if queued.hook == LOCAL_IN and self._nat_replies.let_pass(event.flow, queued.in_interface):
            return PASS
        if self._is_early(event.flow, exec_id_of(event.attribution), now.boot_s):
            return Hold(EARLY_S, event)
        return Judge(event)

    def take_questions(self) -> Iterator[tuple[QuestionSent, float]]:
        """DNS questions that left since the last call, each with the boot-time seconds when it did."""
        for asked in self._read_questions():
            try:
                yield self.events.copied_question(asked), asked.time_ns / 1e9
            except Malformed:
                self.malformed += 1

    def take_message(self, queued: QueuedPacket, _now: Instant) -> Intaken:
        """A packet of the names queue: a DNS message, or what an inspected connection sends."""
        try:
            event = self.events.message_event(queued)
        except Malformed:
            self.malformed += 1
            return unread(queued, NO_PACKET)
        except NoteLost:
            self.too_late += 1
            return unread(queued, TOO_LATE)
        except ScanNotDue as early:
            return Hold(early.wait_s)
        if isinstance(event, DataSent):
            self._verdicts.note_inspected_mark(queued.packet_id, queued.mark)
        return Judge(event)


def unread(queued: QueuedPacket, why: Drop) -> Drop | Pass:
    """What becomes of a packet of the names queue that cannot be read. A DNS message goes on, since its connection was
    allowed. What a connection without a name sends is dropped: it might say a name that a rule denies."""
    return why if queued.hook == LOCAL_OUT else PASS
