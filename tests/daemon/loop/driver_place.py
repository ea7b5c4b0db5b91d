"""A driver over queues that the test fills; everything else is the daemon's own, with files of the test."""

import asyncio
import errno
import os
import re
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Never

from tests.core.engine.transcript import CURL
from tests.daemon.rules.small_facts import make_fact_source
from tinysnitch.core.engine.commands import RememberFlow, RememberVerdict
from tinysnitch.core.engine.engine import Engine
from tinysnitch.core.engine.events import DataLost
from tinysnitch.core.model.flow import Flow
from tinysnitch.core.model.process import Asker, AttributedPacket, Attribution, asker_of
from tinysnitch.core.model.scope import Scope
from tinysnitch.core.model.settings import Settings
from tinysnitch.daemon.control.clients import ControlClients
from tinysnitch.daemon.control.permissions import Permissions
from tinysnitch.daemon.instance import Identity, name_instance
from tinysnitch.daemon.logs.error_log import ErrorLog
from tinysnitch.daemon.logs.log_output import LogOutput
from tinysnitch.daemon.logs.past_finder import PastFinder
from tinysnitch.daemon.logs.recorder import Recorder
from tinysnitch.daemon.logs.traffic_recorder import TrafficRecorder
from tinysnitch.daemon.loop.driver import Driver, Ports
from tinysnitch.daemon.loop.process_watch import ProcessWatch
from tinysnitch.daemon.loop.reloader import Reloader
from tinysnitch.daemon.loop.resolved_names import ResolvedNames
from tinysnitch.daemon.loop.settings_watch import SettingsWatch
from tinysnitch.daemon.options import LogFormat, Options, SettingsRead
from tinysnitch.daemon.requests.counters import Counters
from tinysnitch.daemon.requests.handler import RequestHandler
from tinysnitch.daemon.requests.looking_back import LookingBack
from tinysnitch.daemon.rules.lists import ListCompiler, ListLoader
from tinysnitch.daemon.rules.loader import RuleLoader
from tinysnitch.daemon.rules.mode_keeper import ModeKeeper
from tinysnitch.daemon.rules.saver import RuleSaver
from tinysnitch.daemon.rules.uses import UseCounts
from tinysnitch.daemon.scheduling.failures import Failures
from tinysnitch.daemon.traffic.dns_question_feed import QuestionFeed
from tinysnitch.daemon.traffic.feed import TrafficFeed
from tinysnitch.kernel.bpf.rule_uses import RuleUses
from tinysnitch.kernel.nfqueue.intake import Intake
from tinysnitch.kernel.nfqueue.nat_replies import NatReplies
from tinysnitch.kernel.nfqueue.packet_events import LOCAL_OUT, POST_ROUTING, PacketEvents
from tinysnitch.kernel.nfqueue.queue import NfVerdict, QueuedPacket, QueueStatistics
from tinysnitch.kernel.nfqueue.verdicts import VerdictSink
from tinysnitch.protocol.log_lines import ReadyLine
from tinysnitch.protocol.messages import Mode
from tinysnitch.store.change_record import ChangeRecord
from tinysnitch.store.handover_files import KeptMode
from tinysnitch.store.history import History
from tinysnitch.store.learned_rules import LearnedRules
from tinysnitch.store.rule_groups import RuleGroups
from tinysnitch.store.rule_numbers import RuleNumbers
from tinysnitch.store.rules_file import RulesFile
from tinysnitch.store.temporary_rules import TemporaryRules
from tinysnitch.store.traffic.traffic_reader import TrafficReader
from tinysnitch.store.traffic.traffic_store import TrafficStore

_CLIENT, _SERVER = bytes([10, 0, 0, 2]), bytes([10, 0, 0, 80])


def ipv4(protocol: int, body: bytes, *, is_answer: bool = False) -> bytes:
    ends = _SERVER + _CLIENT if is_answer else _CLIENT + _SERVER
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, protocol, 0) + ends + body


def syn(packet_id: int, local_port: int = 40000, port: int = 443) -> QueuedPacket:
    body = struct.pack("!HHIIBBHHH", local_port, port, 1, 0, 0x50, 2, 1024, 0, 0)
    return QueuedPacket(packet_id, LOCAL_OUT, 0, 1, 0, ipv4(6, body))


def datagram(packet_id: int, payload: bytes = b"no DNS") -> QueuedPacket:
    body = struct.pack("!HHHH", 40000, 53, 8 + len(payload), 0) + payload
    return QueuedPacket(packet_id, POST_ROUTING, 0, 1, 0, ipv4(17, body))


class SmallQueue:
    """Stands for a Queue of kernel/nfqueue/queue.py: `put` packets into it, and read the verdicts in `sent`."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._waiting: list[QueuedPacket] = []
        self._collected: list[tuple[int, NfVerdict]] = []
        self.sent: list[tuple[int, NfVerdict]] = []
        self.marks: dict[int, int | None] = {}  # by packet id
        self.gone = 2

    def fileno(self) -> int:
        return self._ours.fileno()

    def put(self, *packets: QueuedPacket) -> None:
        self._waiting += packets
        self._theirs.send(b"x")

    def read_packets(self, limit: int = 64) -> list[QueuedPacket]:
        """The packets that are there, maybe none. Does not wait, like the real queue."""
        packets, self._waiting = self._waiting[:limit], self._waiting[limit:]
        if not self._waiting:
            with suppress(BlockingIOError):
                self._ours.recv(100, socket.MSG_DONTWAIT)
        return packets

    def queue_verdict(self, packet_id: int, verdict: NfVerdict, mark: int | None = None) -> None:
        self._collected.append((packet_id, verdict))
        self.marks[packet_id] = mark

    def flush(self) -> None:
        self.sent += self._collected
        self._collected = []

    def statistics(self) -> QueueStatistics:
        return QueueStatistics(len(self._waiting), 2, 3)

    def count_unread(self) -> int:
        return len(self._waiting)

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()


class SmallNews(SmallQueue):
    def drain(self) -> None:
        self.read_packets()


class SmallAttributor:
    claim: Attribution | Exception = CURL
    is_note_lost = False
    unknown = 0

    def __init__(self) -> None:
        self.asked = self.forgotten = 0

    def attribute(self, flow: Flow, interface: int = 0, sender_uid: int | None = None) -> AttributedPacket:
        self.asked += 1
        if isinstance(self.claim, Exception):
            raise self.claim
        return AttributedPacket(self.claim, flow.local_port, self.is_note_lost)

    def find_asker(self, flow: Flow, interface: int, sender_uid: int | None) -> Asker:
        attributed = self.attribute(flow, interface, sender_uid)
        return asker_of(attributed.attribution, is_note_lost=attributed.is_note_lost)

    def forget(self) -> None:
        self.forgotten += 1


class Refusing:
    """BPF programs that fail to remember any verdict."""

    uses = RuleUses(None)

    def set_generation(self, generation: int, own_addresses: frozenset[bytes] | None) -> None:
        pass

    def remember_verdict(self, *command: RememberVerdict, **how: object) -> None:
        raise OSError(7, "map full")

    def remember_flow(self, *command: RememberFlow, **how: object) -> None:
        raise OSError(7, "map full")

    def end_watch(self, *command: object) -> None:
        raise OSError(12, "no memory")


class Place:
    """Make it and close it inside a running loop."""

    def __init__(self, folder: Path, rules: str = "", programs: object = None, **settings: object) -> None:
        self._folder = folder
        self.log = folder / "log"
        self.rules_file = RulesFile(folder / "rules")
        self.rules_file.path.write_text(rules)
        self.queue, self.names_queue = SmallQueue(), SmallQueue()
        self.news, self.mounts = SmallNews(), SmallNews()
        self.attributor = SmallAttributor()
        self.lists = folder / "lists"
        lists = ListLoader(self.lists, folder / "cache", ListCompiler())
        self.fact_source = make_fact_source(lists, again=lambda: self.reloader.refresh_facts(), max_threads=4)
        self.groups = RuleGroups(folder / "groups", self.rules_file.path)
        self.loader = RuleLoader(self.rules_file, self.fact_source, self.groups)
        self.history = History(folder / "history")
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT)
        self._log_output = LogOutput(descriptor)
        os.close(descriptor)
        self.engine = Engine(Settings(**settings), self.loader.facts)  # type: ignore[arg-type]
        self.clients, self.failures = ControlClients(), Failures()
        self.learned_rules = LearnedRules(folder / "learned.rules")
        self.temporary_rules = TemporaryRules(folder / "temporary")
        self.rule_saver = RuleSaver(
            self.rules_file,
            self.temporary_rules,
            clients=self.clients,
            failures=self.failures,
            report=lambda loss: self.driver.feed(loss),
        )
        self.mode_keeper = ModeKeeper(KeptMode(folder / "mode"), lambda loss: self.driver.feed(loss))
        self.processes = ProcessWatch(lambda process: self.driver.process_exited(process))
        self.ports = self._make_ports(programs)
        self.driver = Driver(self.engine, self.ports, self.failures)
        self.reloader = Reloader(self.driver, self.loader, self.news, self.mounts)  # type: ignore[arg-type]
        self.counters = Counters(self.driver, None, ErrorLog())
        self.permissions = Permissions()
        # what reading the settings file again finds
        self.settings_read = SettingsRead(options=Options(config_dir=folder))
        self.settings = SettingsWatch(
            self.settings_read,
            lambda: self.settings_read,
            self.permissions,
            self.driver,
            self.fact_source,
        )
        self.numbers = RuleNumbers(folder / "rule-numbers")
        self.handler = RequestHandler(
            identity_of(self.rules_file.path),
            self.driver,
            rules_file=self.rules_file,
            loader=self.loader,
            reloader=self.reloader,
            counters=self.counters,
            history=self.history,
            looking_back=self._make_looking_back(folder / "sums"),
            settings=self.settings,
            numbers=self.numbers,
            changes=ChangeRecord(folder / "changes.json"),
        )
        self.ports.recorder.begin(ReadyLine(time="", pid=1, mode=Mode.BPF, netns=2, rules=0, socket="", cgroup=""))
        self.reloader.reload_rules()

    def _make_looking_back(self, path: Path) -> LookingBack:
        self.ports.traffic.listen(self.traffic_recorder.take)
        self.ports.questions.listener = self.traffic_recorder.take_questions
        return LookingBack(self.ports.traffic, self.ports.questions, self.traffic_recorder, TrafficReader(path))

    def _make_ports(self, programs: object) -> Ports:
        sums = self._folder / "sums"
        self.traffic_recorder = TrafficRecorder(TrafficStore(sums), lambda work, done: done(work()))
        traffic = TrafficFeed(self.failures)
        events = PacketEvents(self.attributor, lambda _index: "eth0")
        verdicts = VerdictSink(self.queue, self.names_queue, programs)  # type: ignore[arg-type]
        return Ports(
            queue=self.queue,  # type: ignore[arg-type]
            names_queue=self.names_queue,  # type: ignore[arg-type]
            attributor=self.attributor,  # type: ignore[arg-type]
            intake=Intake(events, NatReplies(None), verdicts, self.engine.dns.is_early),
            verdicts=verdicts,
            uses=UseCounts(verdicts.uses, self._folder / "uses", "boot", was_adopted=False),
            resolved_names=ResolvedNames(lambda told: self.driver.feed(told)),
            processes=self.processes,
            rule_saver=self.rule_saver,
            mode_keeper=self.mode_keeper,
            recorder=Recorder(self._log_output, LogFormat.TEXT, self.history, self.learned_rules),
            clients=self.clients,
            traffic=traffic,
            pasts=PastFinder(
                traffic.hand_over,
                self.traffic_recorder,
                TrafficReader(sums),
                lambda work, done: done(work()),
                lambda *events: self.driver.feed(*events),
            ),
            questions=QuestionFeed(lambda _exec_id: None),
        )

    def read_rules(self) -> str:
        """The text of the rules file, without who made each rule and when."""
        text = self.rules_file.path.read_text()
        return re.sub(r"  # by \S+ [0-9]{4}-[0-9]{2}-[0-9]{2}$", "", text, flags=re.MULTILINE)

    def read_log(self) -> str:
        return self.log.read_text()

    def close(self) -> None:
        for part in (
            self.settings,
            self.reloader,
            self.driver,
            self.ports.traffic,
            self.ports.questions,
            self.ports.pasts,
            self.rule_saver,
        ):
            part.stop()
        self.processes.close()
        self.traffic_recorder.close()
        self.history.close()
        self.numbers.close()
        self._log_output.close()
        for queue in (self.queue, self.names_queue, self.news, self.mounts):
            queue.close()


def start(place: Place, *losses: DataLost) -> Place:
    place.driver.start(lambda _now_s: iter(losses))
    return place


def identity_of(rules: Path, degraded_because: str = "") -> Identity:
    return Identity(
        options=Options(rules=rules),
        instance=name_instance(1, Scope.MACHINE),
        pid=1,
        netns=2,
        cgroup="/",
        degraded_because=degraded_because,
        started_s=0.0,
    )


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110 - the loop itself is what is tested
            await asyncio.sleep(0)


def fail_with_emfile(*_arguments: object) -> Never:
    raise OSError(errno.EMFILE, "Too many open files")
