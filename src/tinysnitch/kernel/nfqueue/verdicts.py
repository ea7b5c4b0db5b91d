"""Carries out the engine's commands about packets: NF verdicts, marks and entries in BPF's maps.

With BPF a verdict is written into a map, and the packet walks its chain again (NF_REPEAT): there the verdict programs
know the verdict now, and the user's own rules behind ours still see the packet. Without BPF a mark on the packet has
the verdict. DNS messages that were read go on from where they are.
"""

from collections import Counter
from collections.abc import Callable
from typing import assert_never

from tinysnitch.core.engine.commands import (
    DropPacket,
    EndInspection,
    ForgetVerdicts,
    InspectMore,
    IssueVerdict,
    PassMessage,
    RememberFlow,
    RememberVerdict,
    SetGeneration,
    SkipInspection,
    VerdictCommand,
)
from tinysnitch.core.model.flow import TCP, UDP, Direction, Flow
from tinysnitch.core.model.scope import Scope
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.bpf.rule_uses import RuleUses
from tinysnitch.kernel.netfilter.rules import DENY_MARK, allow_bit
from tinysnitch.kernel.nfqueue.queue import NfVerdict, Queue
from tinysnitch.kernel.system.clock import read_instant

MAX_ROUNDS = 16  # of the packets of one flow, in ROUNDS_S
ROUNDS_S = 0.1


def _to_ns(boot_s: float | None) -> int:
    return 0 if boot_s is None else int(boot_s * 1e9)


class VerdictSink:
    def __init__(
        self,
        queue: Queue,
        names_queue: Queue,
        programs: BpfPrograms | None,
        end_connection: Callable[[Flow, int], object] | None = None,
        *,
        scope: Scope = Scope.MACHINE,
    ) -> None:
        """`end_connection` is called before a TCP connection is reset, since its program may not hear of the reset."""
        self._queue = queue
        self._names_queue = names_queue
        self._programs = programs
        self.uses = programs.uses if programs else RuleUses(None)
        self._end_connection = end_connection
        self._allow_bit = allow_bit(scope)
        self.issued = 0  # verdicts on held packets
        self.followed = 0  # of these, those that will be no hit when they walk the chain again
        self.sends_each = False  # each verdict leaves at once: its packet came alone
        self._marks: dict[int, int] = {}  # by packet id: marks that held packets had already, where ours is added
        self._rounds: Counter[Flow] = Counter()  # no more than are judged in ROUNDS_S
        self._rounds_end_s = 0.0
        self._inspected_marks: dict[int, int] = {}  # by packet id: the same of packets that are read for a name

    def carry_out(self, command: VerdictCommand) -> None:
        """Carry out one command. Those of every miss come first: each case that does not match costs time."""
        match command:
            case RememberVerdict():
                if self._programs is not None:
                    self._programs.remember_verdict(
                        command.key,
                        command.verdict,
                        command.generation,
                        _to_ns(command.expires_s),
                        watch=command.inspection,
                        rule=command.rule,
                    )
                else:
                    self.uses.note(command.rule, read_instant().boot_s)
            case IssueVerdict(packet_id, verdict, follows):
                self.issue(packet_id, verdict, follows=follows)
                if self.sends_each:
                    self.flush()
            case RememberFlow():
                self._remember_flow(command)
            case PassMessage(packet_id):
                self.pass_message(packet_id)
            case InspectMore(packet_id):
                mark = self._inspected_marks.pop(packet_id, 0) | self._allow_bit
                self._names_queue.queue_verdict(packet_id, NfVerdict.REPEAT, mark)
            case EndInspection():
                self._end_inspection(command)
            case SkipInspection(flow, cookie):
                if self._programs is not None:
                    self._programs.end_watch(flow, cookie, Verdict.ALLOW)
            case DropPacket(packet_id):
                self.drop(packet_id)
            case ForgetVerdicts(keys):
                if self._programs is not None:
                    self._programs.forget_verdicts(keys)
            case SetGeneration(generation, own_addresses):
                if self._programs is not None:
                    self._programs.set_generation(generation, own_addresses)
            case _:
                assert_never(command)

    def _remember_flow(self, command: RememberFlow) -> None:
        if self._programs is not None:
            self._programs.remember_flow(
                command.flow,
                command.verdict,
                command.generation,
                _to_ns(command.expires_s),
                exec_id=command.exec_id,
                watch=command.inspection,
                tied_to=command.tied_to,
                rule=command.rule,
            )
        else:
            self.uses.note(command.rule, read_instant().boot_s)

    def _end_inspection(self, command: EndInspection) -> None:
        """Packets that were marked before must go first: once the inspection is over, no rule takes the mark away."""
        self._names_queue.flush()
        self._inspected_marks.pop(command.packet_id, None)
        if self._programs is not None:
            self._programs.end_watch(command.flow, command.cookie, command.verdict)
        self._names_queue.queue_verdict(command.packet_id, NfVerdict.REPEAT)
        if self._end_connection and command.verdict is Verdict.DENY and command.flow.protocol == TCP:
            self._end_connection(command.flow, command.cookie)

    def note_mark(self, packet_id: int, flow: Flow, mark: int) -> None:
        """Note the mark that a packet has already, if ours is to be added: without BPF; and to a datagram that comes
        in, since a remembered verdict does not hold for the next one to a shared port (bpf/verdict/lookup.bpf.h)."""
        is_marked = flow.protocol == UDP and flow.direction is Direction.INBOUND if self._programs else mark
        if is_marked:
            self._marks[packet_id] = mark

    def goes_round(self, flow: Flow, mark: int, now_s: float) -> bool:
        """Whether packets of this flow come back again and again though a verdict was given on them. `now_s`: boot-time
        seconds.

        The socket that early demux found for a datagram when it came gets it, whatever happened to the port since. If
        it is not the one that the look-up finds by now, no verdict for that one's program ever holds for the packet.
        """
        if not mark & self._allow_bit or self._programs is None:
            return False
        if now_s >= self._rounds_end_s:
            self._rounds.clear()
            self._rounds_end_s = now_s + ROUNDS_S
        self._rounds[flow] += 1
        return self._rounds[flow] > MAX_ROUNDS

    def issue(self, packet_id: int, verdict: Verdict, *, follows: bool = False) -> None:
        self.issued += 1
        self.followed += follows
        own = self._marks.pop(packet_id, None)
        if self._programs is not None:
            mark = None if own is None else own | self._allow_bit
        else:
            mark = DENY_MARK if verdict is Verdict.DENY else (own or 0) | self._allow_bit
        self._queue.queue_verdict(packet_id, NfVerdict.REPEAT, mark)

    def drop(self, packet_id: int) -> None:
        self._marks.pop(packet_id, None)
        self._queue.queue_verdict(packet_id, NfVerdict.DROP)

    def pass_message(self, packet_id: int) -> None:
        self._names_queue.queue_verdict(packet_id, NfVerdict.ACCEPT)

    def note_inspected_mark(self, packet_id: int, mark: int) -> None:
        """Note the mark that a packet has already: ours is added to it."""
        if mark:
            self._inspected_marks[packet_id] = mark

    def drop_inspected(self, packet_id: int) -> None:
        self._inspected_marks.pop(packet_id, None)
        self._names_queue.queue_verdict(packet_id, NfVerdict.DROP)

    def limit_packets(self, limit: int) -> None:
        if self._programs is not None:
            self._programs.settings.set_packet_limit(limit)

    def limit_messages(self, limit: int) -> None:
        if self._programs is not None:
            self._programs.settings.set_message_limit(limit)

    def count_limited(self) -> int:
        """Packets dropped by `limit_packets` so far."""
        return self._count("lost_over_quota")

    def count_limited_messages(self) -> int:
        """Messages dropped by `limit_messages` so far."""
        return self._count("lost_messages")

    def _count(self, loss: str) -> int:
        return self._programs.read_statistics()[loss] if self._programs is not None else 0

    def flush(self) -> None:
        """Send the verdicts, many in one message for each queue, after all map entries that they rest on."""
        try:
            self._queue.flush()
        finally:
            self._names_queue.flush()
