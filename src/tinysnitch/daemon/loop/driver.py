"""The one loop: readable descriptors become events, and the engine's commands are carried out in order.

Rules: (1) there is one thread, and nothing here waits; (2) the verdicts of a batch of packets leave in one message,
that of a packet which came alone at once, before the engine's further commands; (3) history, log and clients come last
and can never slow a verdict; (4) no timer runs while nothing is due; (5) an unforeseen failure is logged and counted,
its packet is dropped, and the loop goes on.
"""

import asyncio
import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tinysnitch.core.engine import commands as cmd
from tinysnitch.core.engine.engine import Engine
from tinysnitch.core.engine.events import DataLost, DeadlineReached, Event, PacketQueued, ProcessExited
from tinysnitch.core.engine.records import ConnectionDecided, PromptOpened, Record, uid_told_of
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.process import ProcessKey
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.daemon.control.clients import ControlClients
from tinysnitch.daemon.logs.past_finder import PastFinder
from tinysnitch.daemon.logs.recorder import Recorder
from tinysnitch.daemon.loop.overload import MANY_MESSAGES, Overload, OverloadWatch
from tinysnitch.daemon.loop.process_watch import ProcessWatch
from tinysnitch.daemon.loop.resolved_names import ResolvedNames
from tinysnitch.daemon.rules.mode_keeper import ModeKeeper
from tinysnitch.daemon.rules.saver import RuleSaver
from tinysnitch.daemon.rules.uses import UseCounts
from tinysnitch.daemon.scheduling.failures import Failures
from tinysnitch.daemon.scheduling.timers import SingleTimer
from tinysnitch.daemon.traffic.dns_question_feed import QuestionFeed
from tinysnitch.daemon.traffic.feed import TrafficFeed
from tinysnitch.kernel.attribution.attribution import Attributor
from tinysnitch.kernel.nfqueue.intake import FAILED, Drop, Hold, Intake, Intaken, Judge, Pass, unread
from tinysnitch.kernel.nfqueue.queue import BATCH, Queue, QueuedPacket
from tinysnitch.kernel.nfqueue.verdicts import VerdictSink
from tinysnitch.kernel.system.clock import read_instant

BATCHES = 16  # in one turn of the loop
MESSAGES = 4  # DNS messages in a batch: one may take 4 ms, with as many addresses as it can hold
TURN_NS = 20_000_000  # after that no further batch is begun in this turn
LINGER_NS = 50_000
LOOK_EACH_S = 1.0  # how often losses are looked at while there is traffic
FLUSH_AGAIN_S = 0.1  # how soon verdicts that the kernel did not take are sent again
STILL_DUE_S = 0.1  # how soon due work that failed is tried again


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """All that the driver reads from and writes to."""

    queue: Queue
    names_queue: Queue
    attributor: Attributor
    intake: Intake
    verdicts: VerdictSink
    uses: UseCounts
    resolved_names: ResolvedNames
    processes: ProcessWatch
    rule_saver: RuleSaver
    mode_keeper: ModeKeeper
    recorder: Recorder
    clients: ControlClients
    traffic: TrafficFeed
    questions: QuestionFeed
    pasts: PastFinder


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """One of the two queues, and what becomes of its packets."""

    queue: Queue
    batch: int
    take_in: Callable[[QueuedPacket, Instant], Intaken]
    give_up: Callable[[QueuedPacket], Drop | Pass]  # says what becomes of one that could not be judged
    drop: Callable[[int], None]
    let_pass: Callable[[int], None]
    overload: OverloadWatch

    def settle(self, queued: QueuedPacket, taken: Drop | Pass) -> None:
        if isinstance(taken, Drop):
            self.drop(queued.packet_id)
        else:
            self.let_pass(queued.packet_id)


@dataclass(frozen=True, slots=True)
class _Held:
    """A packet that goes on at `due_s` (boot-time seconds): its event is judged, or without one it is taken in anew."""

    source: _Source
    queued: QueuedPacket
    due_s: float
    event: PacketQueued | None = None


def _connections_of(ports: Ports, failures: Failures) -> _Source:
    verdicts = ports.verdicts
    overload = Overload(ports.queue.count_unread, verdicts.limit_packets, verdicts.count_limited)
    return _Source(
        queue=ports.queue,
        batch=BATCH,
        take_in=ports.intake.take_connection,
        give_up=lambda _queued: FAILED,
        drop=verdicts.drop,
        let_pass=lambda packet_id: verdicts.issue(packet_id, Verdict.ALLOW),
        overload=OverloadWatch(overload, failures.attempt),
    )


def _messages_of(ports: Ports, failures: Failures) -> _Source:
    verdicts, queue = ports.verdicts, ports.names_queue
    overload = Overload(
        queue.count_unread, verdicts.limit_messages, verdicts.count_limited_messages, many=MANY_MESSAGES
    )
    return _Source(
        queue=queue,
        batch=MESSAGES,
        take_in=ports.intake.take_message,
        give_up=lambda queued: unread(queued, FAILED),
        drop=verdicts.drop_inspected,
        let_pass=verdicts.pass_message,
        overload=OverloadWatch(overload, failures.attempt),
    )


class Driver:
    def __init__(self, engine: Engine, ports: Ports, failures: Failures) -> None:
        self.engine = engine
        self.ports = ports
        self.failures = failures
        self._records: list[Record] = []  # of this batch: written once its verdicts have left
        self._timer: asyncio.TimerHandle | None = None
        self._due_s: float | None = None
        self._worked_off_s = 0.0  # boot-time seconds: all that was due until then was tried
        self._held: list[_Held] = []  # in the order in which they came
        self._held_due_s = math.inf  # boot-time seconds: when the first of them goes on
        self._held_timer = SingleTimer(self._work_off_held)
        self._flush_timer = SingleTimer(lambda: self._finish(read_instant()))
        self._connections, self._messages = _connections_of(ports, failures), _messages_of(ports, failures)
        self._next_look_s = 0.0
        self._is_look_owed = False  # something was done since the last look: one follows, though nothing else comes
        self._find_losses: Callable[[float], Iterable[DataLost]] | None = None  # once packets are read
        self._looks: list[Callable[[float], object]] = []

    def start(self, find_losses: Callable[[float], Iterable[DataLost]]) -> None:
        """Read packets from now on. `find_losses(boot-time seconds)`: losses that are to be told now."""
        self._find_losses = find_losses
        self._next_look_s = 0.0
        loop = asyncio.get_running_loop()
        loop.add_reader(self.ports.queue.fileno(), self._read_connections)
        loop.add_reader(self.ports.names_queue.fileno(), self._read_messages)

    def look_when_awake(self, look: Callable[[float], object]) -> None:
        """Call `look(boot-time seconds)` from now on once in a while, when something has woken us: no timer does."""
        self._looks.append(look)

    def stop(self) -> None:
        loop = asyncio.get_running_loop()
        for source in (self._connections, self._messages):
            loop.remove_reader(source.queue.fileno())
            source.overload.cancel()
        self._held_timer.cancel()
        self._flush_timer.cancel()
        if self._timer:
            self._timer.cancel()

    def feed(self, *events: Event) -> list[Record]:
        """Hand events to the engine, carry out its commands, and return the records that it reported."""
        self.failures.attempt(self._note_questions)
        now, before = read_instant(), len(self._records)
        for event in events:
            self.failures.attempt(self._handle, event, now)
        records = self._records[before:]
        self._finish(now)
        return records

    def report(self, *records: Record) -> None:
        """Write records that do not come from the engine to the log, the history and followers."""
        self._records += records
        self._finish(read_instant())

    def process_exited(self, process: ProcessKey) -> None:
        self.feed(ProcessExited(process))

    @property
    def is_overloaded(self) -> bool:
        """Whether packets are limited since more come than can be judged or read."""
        return self._connections.overload.is_limited or self._messages.overload.is_limited

    # Packets

    def _read_connections(self) -> None:
        """Judge batch after batch, but not so long that clients, DNS messages and deadlines miss their turn."""
        end_ns = time.monotonic_ns() + TURN_NS
        packets = self.ports.queue.read_packets()
        for _ in range(BATCHES):
            self._judge(self._connections, packets)
            packets = self._linger() if time.monotonic_ns() < end_ns else []
            if not packets:
                return
        self._judge(self._connections, packets)

    def _linger(self) -> list[QueuedPacket]:
        """Read the next packets, and wait a moment for them: to be woken by the kernel would cost more."""
        end_ns = time.monotonic_ns() + LINGER_NS
        while not (packets := self.ports.queue.read_packets()) and time.monotonic_ns() < end_ns:
            os.sched_yield()  # let other processes on this core go first
        return packets

    def _read_messages(self) -> None:
        """Read DNS messages and inspected packets batch after batch, as _read_connections() does."""
        end_ns = time.monotonic_ns() + TURN_NS
        while packets := self.ports.names_queue.read_packets(MESSAGES):
            self._judge(self._messages, packets)
            if len(packets) < MESSAGES or time.monotonic_ns() >= end_ns:
                return

    def _judge(self, source: _Source, packets: list[QueuedPacket]) -> None:
        began_ns = time.monotonic_ns()
        now = self._begin()
        self.ports.verdicts.sends_each = len(packets) == 1
        for queued in packets:
            self._take_in(source, queued, now)
        self.ports.verdicts.sends_each = False
        self._finish(now)
        is_full = len(packets) == source.batch
        if is_full or source.overload.is_watching:
            source.overload.note_batch(len(packets), source.batch, began_ns)

    def _begin(self) -> Instant:
        """Before packets are judged: note the questions that left, and learn what systemd-resolved has told by now."""
        self.failures.attempt(self._note_questions)
        if self.ports.resolved_names.is_connected:
            self.failures.attempt(self.ports.resolved_names.read)
        return read_instant()

    def _note_questions(self) -> None:
        """Hand the engine the DNS questions that left by now, which nobody woke us for: what comes next may answer."""
        for event, asked_s in self.ports.intake.take_questions():
            self.failures.attempt(self._handle, event, Instant(asked_s, read_instant().wall_s))

    def _take_in(self, source: _Source, queued: QueuedPacket, now: Instant) -> Intaken:
        """Do what becomes of a packet. If that fails it is as one that cannot be read."""
        try:
            taken = source.take_in(queued, now)
            match taken:
                case Judge(event):
                    self._handle(event, now)
                case Hold():
                    self._hold(_Held(source, queued, now.boot_s + taken.wait_s, taken.event), now)
                case _:
                    source.settle(queued, taken)
        except Exception:
            self.failures.note("taking a packet in")
            taken = source.give_up(queued)
            source.settle(queued, taken)
        return taken

    def _hold(self, held: _Held, now: Instant) -> None:
        self._held.append(held)
        if held.due_s < self._held_due_s:
            self._held_due_s = held.due_s
            self._held_timer.cancel()
            self._held_timer.start(max(0.0, held.due_s - now.boot_s))

    def _work_off_held(self) -> None:
        """Go on with the held packets. One scan tells the processes of all that wait for one: if the first has to wait
        on, so have the others."""
        now = self._begin()
        held, self._held, self._held_due_s = self._held, [], math.inf
        scan_due_s: float | None = None
        for one in held:
            if one.event is not None and one.due_s <= now.boot_s:
                self._judge_held(one, one.event, now)
            elif one.event is not None:
                self._hold(one, now)
            elif scan_due_s is not None:
                self._hold(_Held(one.source, one.queued, scan_due_s), now)
            else:
                taken = self._take_in(one.source, one.queued, now)
                if isinstance(taken, Hold) and taken.event is None:
                    scan_due_s = now.boot_s + taken.wait_s
        self._finish(now)

    def _judge_held(self, held: _Held, event: Event, now: Instant) -> None:
        if not self.failures.attempt(self._handle, event, now):
            held.source.settle(held.queued, held.source.give_up(held.queued))

    # Events and commands

    def _handle(self, event: Event, now: Instant) -> None:
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
                    self.ports.verdicts.drop_inspected(command.packet_id)

    def _carry_out(self, command: cmd.Command) -> None:
        match command:
            case cmd.RememberVerdict() | cmd.IssueVerdict():  # of every miss: each case that does not match costs time
                self.ports.verdicts.carry_out(command)
            case cmd.Report(record):
                self._records.append(record)
            case cmd.NoteNames(asker, names, wall_s):
                self.ports.questions.note(asker, names, wall_s)
            case cmd.ShowPrompt(prompt):
                self.ports.clients.push_prompt(prompt)
            case cmd.ClosePrompt():
                self.ports.clients.push_closed(command)
            case cmd.WatchProcess(process):
                self.ports.processes.add(process)
            case cmd.AppendRule() | cmd.KeepTemporaryRules():
                self.ports.rule_saver.save(command)
            case cmd.ChangeMode(mode):
                self.ports.clients.change_mode(mode)
                self.ports.mode_keeper.keep(mode)
            case _:
                self.ports.verdicts.carry_out(command)

    # Time

    def _finish(self, now: Instant) -> None:
        """After a batch: send the verdicts first, then write records, and set the timer for the next deadline."""
        try:
            self.ports.verdicts.flush()
        except Exception:
            self.failures.note("flush")
            self._flush_timer.start(FLUSH_AGAIN_S)  # perhaps no further packet comes whose batch would send them
        self._is_look_owed = now.boot_s < self._next_look_s
        if not self._is_look_owed:
            self._next_look_s = now.boot_s + LOOK_EACH_S
            self._look(now)
        if self._records:
            self._write(now)
        self._schedule(now)

    def _write(self, now: Instant) -> None:
        """Write the records of this batch. One that cannot be written costs no other one."""
        records, self._records = self._records, []
        recorder, clients = self.ports.recorder, self.ports.clients
        for record in records:
            try:
                uid = uid_told_of(record)
                line = recorder.record(record, uid, now)
                if clients.followers:
                    clients.push_record(line, uid)
                if isinstance(record, ConnectionDecided):
                    self.ports.traffic.note(record)
                    self.ports.questions.note_decision(record)
                elif isinstance(record, PromptOpened):
                    self.ports.pasts.note(record)
            except Exception:
                self.failures.note("recording")
        try:
            recorder.flush(now)
        except Exception:
            self.failures.note("flush")

    def _look(self, now: Instant) -> None:
        if self._find_losses:
            self.failures.attempt(self._report_losses, self._find_losses, now)
        for look in self._looks:
            self.failures.attempt(look, now.boot_s)

    def _report_losses(self, find_losses: Callable[[float], Iterable[DataLost]], now: Instant) -> None:
        for loss in find_losses(now.boot_s):
            self._handle(loss, now)

    def _schedule(self, now: Instant) -> None:
        due_s, write_s = self.engine.next_deadline(now), self.ports.recorder.due_s
        if due_s is None or (write_s is not None and write_s < due_s):
            due_s = write_s
        if self._is_look_owed and (due_s is None or self._next_look_s < due_s):
            due_s = self._next_look_s
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
        self.failures.attempt(self._handle, DeadlineReached(), now)
        self.failures.attempt(self.ports.recorder.flush, now)
        self._finish(now)
