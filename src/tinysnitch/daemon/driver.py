"""The one loop: readable descriptors become events, the engine's requests are carried out in order.

Rules: (1) one thread, nothing here waits; (2) verdicts leave in one message after a batch of packets, that of a packet
which came alone at once, before the engine has come to its end; (3) history, log and clients hang off the end and can
never slow a verdict; (4) no timer runs while nothing is due; (5) what fails unforeseen is logged and counted, its
packet is dropped, and the loop goes on.
"""

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import assert_never

from tinysnitch.core import commands as cmd
from tinysnitch.core.clock import Instant
from tinysnitch.core.engine import Engine
from tinysnitch.core.errors import Malformed
from tinysnitch.core.events import DataLost, DataSent, DeadlineReached, Event, PacketQueued, ProcessExited
from tinysnitch.core.process import ProcessKey, exec_id_of
from tinysnitch.core.records import Record, uid_told_of
from tinysnitch.core.verdict import Verdict
from tinysnitch.daemon.control_clients import ControlClients
from tinysnitch.daemon.crowding import MANY_MESSAGES, Crowding, CrowdWatch
from tinysnitch.daemon.failures import Failures
from tinysnitch.daemon.process_watch import ProcessWatch
from tinysnitch.daemon.recorder import Recorder
from tinysnitch.daemon.rule_saver import RuleSaver
from tinysnitch.daemon.single_timer import SingleTimer
from tinysnitch.kernel.attribution import Attributor
from tinysnitch.kernel.clock import read_instant
from tinysnitch.kernel.enforcement import Enforcement
from tinysnitch.kernel.nfqueue import BATCH, Queue, QueuedPacket
from tinysnitch.kernel.packet_events import LOCAL_OUT, NoteLost, PacketEvents
from tinysnitch.kernel.socket_holders import ScanNotDue
from tinysnitch.kernel.translated_answers import TranslatedAnswers

BATCHES = 16
MESSAGES = 4  # to a batch: one may take 4 ms, with as many addresses as it can hold
TURN_NS = 20_000_000  # no further batch is begun after that
LINGER_NS = 50_000
LOSS_CHECK_S = 1.0  # how often losses are looked at while there is traffic
FLUSH_AGAIN_S = 0.1  # how soon verdicts are sent again that the kernel did not take
EARLY_S = 0.005  # until it is known what a resolver answered, or another resolv.conf is read: mostly a tenth of that
STILL_DUE_S = 0.1  # how soon that is tried again which is due, and failed


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
        self.outwaited = 0  # of which it was not known any more whose they are: dropped
        self._attempt = failures.attempt
        self._untold: list[Record] = []  # of this batch, told once its verdicts are out
        self._is_alone = False  # the packet that is judged now: its verdict waits for no other one
        self._timer: asyncio.TimerHandle | None = None
        self._due_s: float | None = None
        self._worked_off_s = 0.0  # the boot-time second up to which what was due has had its turn
        self._deferred: list[tuple[Callable[[list[QueuedPacket]], None], QueuedPacket]] = []  # till a scan is due
        self._scan_timer = SingleTimer(self._work_off_deferred)
        self._early: deque[tuple[float, PacketQueued]] = deque()  # until when it is held, since more may be known then
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
        """Read from now on. `find_losses`: what was lost since it was asked last, by the boot-time clock. `hear` feeds
        what others know that came before the packets."""
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
        """Hand events to the engine, carry out what it asks for; returns what it reported."""
        now = read_instant()
        records: list[Record] = []
        for event in events:
            self._handle(event, now, records)
        self._finish(now)
        return records

    def report(self, *records: Record) -> None:
        """What was seen beside the engine, for log, history and followers."""
        self._untold += records
        self._finish(read_instant())

    def process_exited(self, process: ProcessKey) -> None:
        self.feed(ProcessExited(process))

    # Packets

    def _read_connections(self) -> None:
        """Batch after batch; but clients, names and deadlines have their turn too."""
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
        """Whether more comes than can be judged, or read."""
        return self._crowd.is_limited or self._messages.is_limited

    def _count_unseen(self) -> int:
        """Packets in the queue that were not looked at: others are held on purpose."""
        held = self.engine.prompts.packet_room.used + len(self._deferred) + len(self._early)
        return self.doors.queue.statistics().waiting - held

    def _count_unread(self) -> int:
        return self.doors.names_queue.statistics().waiting

    def _linger(self) -> list[QueuedPacket]:
        """Whatever was let through often comes right back: looking for a moment costs less than being woken."""
        end_ns = time.monotonic_ns() + LINGER_NS
        while not (packets := self.doors.queue.read_packets()) and time.monotonic_ns() < end_ns:
            os.sched_yield()  # whoever else has something to do on this core goes first
        return packets

    def _read_connection(self, queued: QueuedPacket, now: Instant) -> None:
        try:
            event = self.doors.packet_events.connection_event(queued)
        except Malformed:
            self.malformed += 1
            self.doors.enforcement.drop(queued.packet_id)
        except NoteLost:  # nobody could tell who is to be asked about; it is lost like those that find the queue full
            self.outwaited += 1
            self.doors.enforcement.drop(queued.packet_id)
        except ScanNotDue as early:
            self._defer(self._judge, queued, early.wait_s)
        else:
            self.doors.enforcement.note_mark(queued.packet_id, queued.mark)
            if self.doors.translated_answers.let_pass(event.flow, queued.in_interface):
                self.doors.enforcement.issue(queued.packet_id, Verdict.ALLOW)
            elif self.engine.dns.is_early(event.flow, exec_id_of(event.attribution), now.boot_s):
                self._early.append((now.boot_s + EARLY_S, event))
                self._early_timer.start(EARLY_S)
            else:
                self._work_off(event, now)

    def _judge_early(self) -> None:
        """What was held for a moment, since more may be known by now."""
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
        """Whose it is cannot be told at once: it is held on, with all that come until then."""
        self._deferred.append((work, queued))
        self._scan_timer.start(wait_s)

    def _work_off_deferred(self) -> None:
        """One scan answers all: the first one tells whether it is over."""
        (first_work, first), *rest = self._deferred
        self._deferred = []
        first_work([first])
        if self._deferred:
            self._deferred += rest
            return
        for work in (self._judge, self._learn):
            work([queued for wanted, queued in rest if wanted == work])

    def _read_messages(self) -> None:
        """Batch after batch, as connections are."""
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
                self._let_go(queued)
        self._finish(now)

    def _read_message(self, queued: QueuedPacket, now: Instant) -> None:
        """What is no DNS message teaches nothing; its connection was allowed, so it goes on."""
        try:
            event = self.doors.packet_events.message_event(queued)
        except Malformed:
            self.malformed += 1
            self._let_go(queued)
        except NoteLost:
            self.outwaited += 1
            self._let_go(queued)
        except ScanNotDue as early:
            self._defer(self._learn, queued, early.wait_s)
        else:
            if isinstance(event, DataSent):
                self.doors.enforcement.note_shown_mark(queued.packet_id, queued.mark)
            self._work_off(event, now)

    def _let_go(self, queued: QueuedPacket) -> None:
        """What of a connection without a name cannot be read does not go on: a rule might deny what it says."""
        if queued.hook == LOCAL_OUT:
            self.doors.enforcement.drop_shown(queued.packet_id)
        else:
            self.doors.enforcement.pass_message(queued.packet_id)

    # Events and commands

    def _handle(self, event: Event, now: Instant, records: list[Record] | None = None) -> None:
        self._attempt(self._work_off, event, now, records)

    def _work_off(self, event: Event, now: Instant, records: list[Record] | None = None) -> None:
        """Command by command. What the kernel refuses to remember is dropped: it would come back here, or be held, for
        ever."""
        is_remembered = True
        for command in self.engine.handle(event, now):
            if not is_remembered and isinstance(command, cmd.IssueVerdict):
                command = cmd.DropPacket(command.packet_id)
            try:
                self._carry_out(command)
            except Exception:
                self.failures.note(type(command).__name__)
                is_remembered &= not isinstance(command, cmd.RememberVerdict | cmd.RememberFlow)
                if isinstance(command, cmd.EndWatch):
                    self.doors.enforcement.drop_shown(command.packet_id)
            if records is not None and isinstance(command, cmd.Report):
                records.append(command.record)

    def _carry_out(self, command: cmd.Command) -> None:
        """What every miss needs comes first: a case that does not match costs as much as one that does."""
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
            case cmd.ShowMore(packet_id):
                doors.enforcement.show_more(packet_id)
            case cmd.EndWatch():
                doors.enforcement.end_watch(command)
            case cmd.SkipWatch():
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
        """After a batch: verdicts leave first, then everything that hangs off the end."""
        if not self._attempt(self.doors.enforcement.flush):
            self._flush_timer.start(FLUSH_AGAIN_S)  # whoever waits may send nothing more to take it along
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
                return  # put off with each batch of a flood it would never ring
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
