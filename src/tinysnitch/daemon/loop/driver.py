"""The one loop: readable descriptors become events, and the engine's commands are carried out in order.

Rules: (1) there is one thread, and nothing here waits; (2) the verdicts of a batch of packets leave in one message,
that of a packet which came alone at once, before the engine's further commands; (3) history, log and clients come last
and can never slow a verdict; (4) no timer runs while nothing is due; (5) an unforeseen failure is logged and counted,
its packet is dropped, and the loop goes on.
"""

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import assert_never

from tinysnitch.core.engine import commands as cmd
from tinysnitch.core.engine.engine import Engine
from tinysnitch.core.engine.events import DataLost, DataSent, DeadlineReached, Event, PacketQueued, ProcessExited
from tinysnitch.core.engine.records import Record, uid_told_of
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.process import ProcessKey, exec_id_of
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.daemon.control.clients import ControlClients
from tinysnitch.daemon.logs.recorder import Recorder
from tinysnitch.daemon.loop.overload import MANY_MESSAGES, Crowding, CrowdWatch
from tinysnitch.daemon.loop.process_watch import ProcessWatch
from tinysnitch.daemon.rules.saver import RuleSaver
from tinysnitch.daemon.scheduling.failures import Failures
from tinysnitch.daemon.scheduling.timers import SingleTimer
from tinysnitch.kernel.attribution.attribution import Attributor
from tinysnitch.kernel.attribution.socket_holders import ScanNotDue
from tinysnitch.kernel.nfqueue.nat_replies import TranslatedAnswers
from tinysnitch.kernel.nfqueue.packet_events import LOCAL_OUT, NoteLost, PacketEvents
from tinysnitch.kernel.nfqueue.queue import BATCH, Queue, QueuedPacket
from tinysnitch.kernel.nfqueue.verdicts import Enforcement
from tinysnitch.kernel.system.clock import read_instant

BATCHES = 16  # in one turn of the loop
MESSAGES = 4  # DNS messages in a batch: one may take 4 ms, with as many addresses as it can hold
TURN_NS = 20_000_000  # after that no further batch is begun in this turn
LINGER_NS = 50_000
LOSS_CHECK_S = 1.0  # how often losses are looked at while there is traffic
FLUSH_AGAIN_S = 0.1  # how soon verdicts that the kernel did not take are sent again
EARLY_S = 0.005  # to wait for a resolver's answer to be told, or for a new resolv.conf to be read: mostly 0.5 ms do
STILL_DUE_S = 0.1  # how soon due work that failed is tried again


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """All that the driver reads from and writes to."""

    queue: Queue
    names_queue: Queue
    attributor: Attributor
    packet_events: PacketEvents
    translated_answers: TranslatedAnswers
    enforcement: Enforcement
    processes: ProcessWatch
    rule_saver: RuleSaver
    recorder: Recorder
    clients: ControlClients


class Driver:
    def __init__(self, engine: Engine, doors: Doors, failures: Failures) -> None:
        self.engine = engine
        self.doors = doors
        self.failures = failures
        self.malformed = 0  # packets that could not be parsed: dropped
        self.outwaited = 0  # packets that waited until the note of their process was lost: dropped
        self._attempt = failures.attempt
        self._untold: list[Record] = []  # of this batch: recorded once its verdicts have left
        self._is_alone = False  # the packet that is judged now came alone: its verdict leaves at once
        self._timer: asyncio.TimerHandle | None = None
        self._due_s: float | None = None
        self._worked_off_s = 0.0  # boot-time seconds: all that was due until then was tried
        # Packets whose process only a scan of all processes can tell, each with the function that goes on with it.
        self._deferred: list[tuple[Callable[[list[QueuedPacket]], None], QueuedPacket]] = []
        self._scan_timer = SingleTimer(self._work_off_deferred)
        self._early: deque[tuple[float, PacketQueued]] = deque()  # held until then, when a name may be known
        self._early_timer = SingleTimer(self._judge_early)
        self._flush_timer = SingleTimer(lambda: self._finish(read_instant()))
        held = Crowding(self._count_unseen, doors.enforcement.limit_crowds, doors.enforcement.count_crowded)
        limit, count_dropped = doors.enforcement.limit_messages, doors.enforcement.count_unread
        unread = Crowding(self._count_unread, limit, count_dropped, many=MANY_MESSAGES)
        self._crowd, self._messages = (CrowdWatch(crowding, failures.attempt) for crowding in (held, unread))
        self._next_loss_check_s = 0.0
        self._find_losses: Callable[[float], Iterable[DataLost]] = lambda _now_s: ()
        self._hear: Callable[[], None] = lambda: None

    def start(self, find_losses: Callable[[float], Iterable[DataLost]], hear: Callable[[], None]) -> None:
        """Read packets from now on. `find_losses(boot-time seconds)`: losses that are to be told now. `hear` is called
        before packets are judged: it feeds the names that systemd-resolved has told by then."""
        self._find_losses = find_losses
        self._hear = hear
        loop = asyncio.get_running_loop()
        loop.add_reader(self.doors.queue.fileno(), self._read_connections)
        loop.add_reader(self.doors.names_queue.fileno(), self._read_messages)

    def stop(self) -> None:
        loop = asyncio.get_running_loop()
        for queue in (self.doors.queue, self.doors.names_queue):
            loop.remove_reader(queue.fileno())
        timers = (self._timer, self._flush_timer, self._scan_timer, self._early_timer, self._crowd, self._messages)
        for timer in timers:
            if timer is not None:
                timer.cancel()

    def feed(self, *events: Event) -> list[Record]:
        """Hand events to the engine, carry out its commands, and return the records that it reported."""
        now = read_instant()
        records: list[Record] = []
        for event in events:
            self._handle(event, now, records)
        self._finish(now)
        return records

    def report(self, *records: Record) -> None:
        """Write records that do not come from the engine to the log, the history and followers."""
        self._untold += records
        self._finish(read_instant())

    def process_exited(self, process: ProcessKey) -> None:
        self.feed(ProcessExited(process))

    # Packets

    def _read_connections(self) -> None:
        """Judge batch after batch, but not so long that clients, DNS messages and deadlines miss their turn."""
        end_ns = time.monotonic_ns() + TURN_NS
        packets = self.doors.queue.read_packets()
        for _ in range(BATCHES):
            self._judge(packets)
            packets = self._linger() if time.monotonic_ns() < end_ns else []
            if not packets:
                return
        self._judge(packets)

    def _judge(self, packets: list[QueuedPacket]) -> None:
        began_ns = time.monotonic_ns()
        self._attempt(self._hear)
        now = read_instant()
        self._is_alone = len(packets) == 1
        for queued in packets:
            if not self._attempt(self._read_connection, queued, now):
                self.doors.enforcement.drop(queued.packet_id)
        self._is_alone = False
        self._finish(now)
        self._crowd.note_batch(len(packets), BATCH, began_ns)

    @property
    def is_crowded(self) -> bool:
        """Whether packets are limited since more come than can be judged or read."""
        return self._crowd.is_limited or self._messages.is_limited

    def _count_unseen(self) -> int:
        """Packets in the queue that we have not looked at. The others there are held on purpose."""
        held = self.engine.prompts.packet_quota.used + len(self._deferred) + len(self._early)
        return self.doors.queue.statistics().waiting - held

    def _count_unread(self) -> int:
        return self.doors.names_queue.statistics().waiting

    def _linger(self) -> list[QueuedPacket]:
        """Read the next packets, and wait a moment for them: to be woken by the kernel would cost more."""
        end_ns = time.monotonic_ns() + LINGER_NS
        while not (packets := self.doors.queue.read_packets()) and time.monotonic_ns() < end_ns:
            os.sched_yield()  # let other processes on this core go first
        return packets

    def _read_connection(self, queued: QueuedPacket, now: Instant) -> None:
        try:
            event = self.doors.packet_events.connection_event(queued)
        except Malformed:
            self.malformed += 1
            self.doors.enforcement.drop(queued.packet_id)
        except NoteLost:  # its process cannot be told any more: drop it, as when the queue is full
            self.outwaited += 1
            self.doors.enforcement.drop(queued.packet_id)
        except ScanNotDue as early:
            self._defer(self._judge, queued, early.wait_s)
        else:
            self.doors.enforcement.note_mark(queued.packet_id, event.flow, queued.mark)
            if self.doors.enforcement.goes_round(event.flow, queued.mark, now.boot_s):  # nobody can tell who takes it
                self.outwaited += 1
                self.doors.enforcement.drop(queued.packet_id)
            elif self.doors.translated_answers.let_pass(event.flow, queued.in_interface):
                self.doors.enforcement.issue(queued.packet_id, Verdict.ALLOW)
            elif self.engine.dns.is_early(event.flow, exec_id_of(event.attribution), now.boot_s):
                self._early.append((now.boot_s + EARLY_S, event))
                self._early_timer.start(EARLY_S)
            else:
                self._work_off(event, now)

    def _judge_early(self) -> None:
        """Judge the packets that were held for EARLY_S: their name may be known by now."""
        self._attempt(self._hear)
        now = read_instant()
        while self._early and self._early[0][0] <= now.boot_s:
            event = self._early.popleft()[1]
            if not self._attempt(self._work_off, event, now):
                self.doors.enforcement.drop(event.packet_id)
        if self._early:
            self._early_timer.start(self._early[0][0] - now.boot_s)
        self._finish(now)

    def _defer(self, work: Callable[[list[QueuedPacket]], None], queued: QueuedPacket, wait_s: float) -> None:
        """Hold a packet until the scan that tells its process may be done; `work` then starts over with it."""
        self._deferred.append((work, queued))
        self._scan_timer.start(wait_s)

    def _work_off_deferred(self) -> None:
        """Go on with the deferred packets. One scan answers all: if the first is deferred again, so are the others."""
        (first_work, first), *rest = self._deferred
        self._deferred = []
        first_work([first])
        if self._deferred:
            self._deferred += rest
            return
        for work in (self._judge, self._learn):
            work([queued for wanted, queued in rest if wanted == work])

    def _read_messages(self) -> None:
        """Read DNS messages and watched packets batch after batch, as _read_connections() does."""
        end_ns = time.monotonic_ns() + TURN_NS
        while packets := self.doors.names_queue.read_packets(MESSAGES):
            began_ns = time.monotonic_ns()
            self._learn(packets)
            self._messages.note_batch(len(packets), MESSAGES, began_ns)
            if time.monotonic_ns() >= end_ns:
                return

    def _learn(self, packets: list[QueuedPacket]) -> None:
        now = read_instant()
        for queued in packets:
            if not self._attempt(self._read_message, queued, now):
                self._settle_unread(queued)
        self._finish(now)

    def _read_message(self, queued: QueuedPacket, now: Instant) -> None:
        """Have the engine learn from a DNS message, or from what a watched connection sends."""
        try:
            event = self.doors.packet_events.message_event(queued)
        except Malformed:
            self.malformed += 1
            self._settle_unread(queued)
        except NoteLost:
            self.outwaited += 1
            self._settle_unread(queued)
        except ScanNotDue as early:
            self._defer(self._learn, queued, early.wait_s)
        else:
            if isinstance(event, DataSent):
                self.doors.enforcement.note_shown_mark(queued.packet_id, queued.mark)
            self._work_off(event, now)

    def _settle_unread(self, queued: QueuedPacket) -> None:
        """Decide about a packet that cannot be read. A DNS message goes on, since its connection was allowed. What a
        connection without a name sends is dropped: it might say a name that a rule denies."""
        if queued.hook == LOCAL_OUT:
            self.doors.enforcement.drop_shown(queued.packet_id)
        else:
            self.doors.enforcement.pass_message(queued.packet_id)

    # Events and commands

    def _handle(self, event: Event, now: Instant, records: list[Record] | None = None) -> None:
        self._attempt(self._work_off, event, now, records)

    def _work_off(self, event: Event, now: Instant, records: list[Record] | None = None) -> None:
        """Handle an event, command by command. If the kernel does not remember the verdict the packet is dropped: after
        NF_REPEAT it would only come back here, again and again."""
        is_remembered = True
        for command in self.engine.handle(event, now):
            if not is_remembered and isinstance(command, cmd.IssueVerdict):
                command = cmd.DropPacket(command.packet_id)
            try:
                self._carry_out(command)
            except Exception:
                self.failures.note(type(command).__name__)
                is_remembered &= not isinstance(command, cmd.RememberVerdict | cmd.RememberFlow)
                if isinstance(command, cmd.EndInspection):
                    self.doors.enforcement.drop_shown(command.packet_id)
            if records is not None and isinstance(command, cmd.Report):
                records.append(command.record)

    def _carry_out(self, command: cmd.Command) -> None:
        """Carry out one command. Those of every miss come first: each case that does not match costs time."""
        doors = self.doors
        match command:
            case cmd.RememberVerdict():
                doors.enforcement.remember_verdict(command)
            case cmd.IssueVerdict():
                doors.enforcement.issue(command.packet_id, command.verdict, follows=command.follows)
                if self._is_alone:
                    doors.enforcement.flush()
            case cmd.Report():
                self._untold.append(command.record)
            case cmd.RememberFlow():
                doors.enforcement.remember_flow(command)
            case cmd.PassMessage(packet_id):
                doors.enforcement.pass_message(packet_id)
            case cmd.InspectMore(packet_id):
                doors.enforcement.show_more(packet_id)
            case cmd.EndInspection():
                doors.enforcement.end_watch(command)
            case cmd.SkipInspection():
                doors.enforcement.skip_watch(command)
            case cmd.DropPacket(packet_id):
                doors.enforcement.drop(packet_id)
            case cmd.ForgetVerdicts():
                doors.enforcement.forget(command)
            case cmd.SetGeneration():
                doors.enforcement.set_generation(command)
            case cmd.ShowPrompt(prompt):
                doors.clients.push_prompt(prompt)
            case cmd.ClosePrompt():
                doors.clients.push_closed(command)
            case cmd.WatchProcess(process):
                doors.processes.add(process)
            case cmd.AppendRule() | cmd.KeepTemporaryRules():
                doors.rule_saver.save(command)
            case _:
                assert_never(command)

    # Time

    def _finish(self, now: Instant) -> None:
        """After a batch: send the verdicts first, then write records, and set the timer for the next deadline."""
        if not self._attempt(self.doors.enforcement.flush):
            self._flush_timer.start(FLUSH_AGAIN_S)  # perhaps no further packet comes whose batch would send them
        if now.boot_s >= self._next_loss_check_s:
            self._next_loss_check_s = now.boot_s + LOSS_CHECK_S
            self._attempt(self._report_losses, now)
        untold, self._untold = self._untold, []
        for record in untold:
            self._attempt(self._tell, record, now)
        self._attempt(self.doors.recorder.flush, now)
        self._schedule(now)

    def _tell(self, record: Record, now: Instant) -> None:
        self.doors.clients.push_record(self.doors.recorder.record(record, now), uid_told_of(record))

    def _report_losses(self, now: Instant) -> None:
        for loss in self._find_losses(now.boot_s):
            self._handle(loss, now)

    def _schedule(self, now: Instant) -> None:
        moments = (self.engine.next_deadline(now), self.doors.recorder.next_deadline())
        due_s = min((moment for moment in moments if moment is not None), default=None)
        # The loop's clock stands still while the machine sleeps: what fell due meanwhile is done now.
        is_late = due_s is not None and due_s <= now.boot_s
        if due_s == self._due_s and not is_late:
            return
        loop = asyncio.get_running_loop()
        delay_s = 0.0 if due_s is None else self._delay_of(due_s, now)
        if self._timer:
            if is_late and self._timer.when() <= loop.time() + delay_s:
                return  # if each batch of a flood put the timer off it would never ring
            self._timer.cancel()
        self._due_s = due_s
        self._timer = None if due_s is None else loop.call_later(delay_s, self._deadline_reached)

    def _delay_of(self, due_s: float, now: Instant) -> float:
        return STILL_DUE_S if due_s <= self._worked_off_s else max(0.0, due_s - now.boot_s)

    def _deadline_reached(self) -> None:
        self._due_s = self._timer = None
        now = read_instant()
        self._worked_off_s = now.boot_s
        self._handle(DeadlineReached(), now)
        self._finish(now)
