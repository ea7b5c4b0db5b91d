"""The engine's requests about packets, in the kernel's words.

With BPF a verdict is written into a map and the packet is told to walk its chain again (NF_REPEAT): there the verdict
programs now know it, and the user's own rules that follow ours still see the packet. Without BPF a mark on the packet
says the same. DNS messages are only looked at and go on from where they are.
"""

from collections.abc import Callable

from tinysnitch.core.commands import EndWatch, ForgetVerdicts, RememberFlow, RememberVerdict, SetGeneration, SkipWatch
from tinysnitch.core.flow import TCP, Flow
from tinysnitch.core.verdict import Verdict
from tinysnitch.kernel.bpf_programs import BpfPrograms
from tinysnitch.kernel.netfilter_rules import ALLOW_BIT, DENY_MARK
from tinysnitch.kernel.nfqueue import NfVerdict, Queue


def _to_ns(boot_s: float | None) -> int:
    return 0 if boot_s is None else int(boot_s * 1e9)


class Enforcement:
    def __init__(
        self,
        queue: Queue,
        names_queue: Queue,
        programs: BpfPrograms | None,
        end_connection: Callable[[Flow, int], object] | None = None,
    ) -> None:
        """`end_connection`: is called before it is reset, and may end what does not hear of that."""
        self._queue = queue
        self._names_queue = names_queue
        self._programs = programs
        self._end_connection = end_connection
        self.issued = 0  # verdicts on held packets
        self.followed = 0  # of them those that walk the chain again without a hit
        self._marks: dict[int, int] = {}  # of packets that have one, held without BPF
        self._shown_marks: dict[int, int] = {}  # likewise, held to be read

    def note_mark(self, packet_id: int, mark: int) -> None:
        """The packet's own mark, which ours is added to."""
        if self._programs is None and mark:
            self._marks[packet_id] = mark

    def issue(self, packet_id: int, verdict: Verdict, *, follows: bool = False) -> None:
        self.issued += 1
        self.followed += follows
        if self._programs is not None:
            self._queue.queue_verdict(packet_id, NfVerdict.REPEAT)
        else:
            own = self._marks.pop(packet_id, 0)
            mark = DENY_MARK if verdict is Verdict.DENY else own | ALLOW_BIT
            self._queue.queue_verdict(packet_id, NfVerdict.REPEAT, mark)

    def drop(self, packet_id: int) -> None:
        self._marks.pop(packet_id, None)
        self._queue.queue_verdict(packet_id, NfVerdict.DROP)

    def pass_message(self, packet_id: int) -> None:
        self._names_queue.queue_verdict(packet_id, NfVerdict.ACCEPT)

    def note_shown_mark(self, packet_id: int, mark: int) -> None:
        """The packet's own mark, which ours is added to."""
        if mark:
            self._shown_marks[packet_id] = mark

    def show_more(self, packet_id: int) -> None:
        mark = self._shown_marks.pop(packet_id, 0) | ALLOW_BIT
        self._names_queue.queue_verdict(packet_id, NfVerdict.REPEAT, mark)

    def end_watch(self, command: EndWatch) -> None:
        """What was marked before goes first: behind the end of the watch nothing would take the mark away."""
        self._names_queue.flush()
        self._shown_marks.pop(command.packet_id, None)
        if self._programs is not None:
            self._programs.end_watch(command.flow, command.cookie, command.verdict)
        self._names_queue.queue_verdict(command.packet_id, NfVerdict.REPEAT)
        if self._end_connection and command.verdict is Verdict.DENY and command.flow.protocol == TCP:
            self._end_connection(command.flow, command.cookie)

    def skip_watch(self, command: SkipWatch) -> None:
        if self._programs is not None:
            self._programs.end_watch(command.flow, command.cookie, Verdict.ALLOW)

    def drop_shown(self, packet_id: int) -> None:
        self._shown_marks.pop(packet_id, None)
        self._names_queue.queue_verdict(packet_id, NfVerdict.DROP)

    def remember_verdict(self, command: RememberVerdict) -> None:
        if self._programs is not None:
            expires_ns = _to_ns(command.expires_s)
            self._programs.remember_verdict(
                command.key, command.verdict, command.generation, expires_ns, watch=command.watch
            )

    def remember_flow(self, command: RememberFlow) -> None:
        if self._programs is not None:
            self._programs.remember_flow(
                command.flow,
                command.verdict,
                command.generation,
                _to_ns(command.expires_s),
                exec_id=command.exec_id,
                watch=command.watch,
                tied_to=command.tied_to,
            )

    def forget(self, command: ForgetVerdicts) -> None:
        if self._programs is not None:
            self._programs.forget_verdicts(command.keys)

    def set_generation(self, command: SetGeneration) -> None:
        if self._programs is not None:
            self._programs.set_generation(command.generation, command.own_addresses)

    def limit_crowds(self, limit: int) -> None:
        if self._programs is not None:
            self._programs.limit_crowds(limit)

    def limit_messages(self, limit: int) -> None:
        if self._programs is not None:
            self._programs.limit_messages(limit)

    def count_crowded(self) -> int:
        """What was dropped by a limit of crowds, ever."""
        return self._count("lost_crowd")

    def count_unread(self) -> int:
        """Likewise, of messages."""
        return self._count("lost_messages")

    def _count(self, loss: str) -> int:
        return self._programs.read_statistics()[loss] if self._programs is not None else 0

    def flush(self) -> None:
        """Verdicts go to the kernel in one message a queue, after all that they rest on was written."""
        try:
            self._queue.flush()
        finally:
            self._names_queue.flush()
