"""Builds the daemon's parts in user space, registers the undo of each, and starts them.

Some parts call one that can only be made out of them (a changed fact has the reloader read, a process that exited goes
to the driver). They get a Relay, which is connected once that part is there; before, nothing happens that they tell.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Protocol, TypeVar

from tinysnitch.core.dns.names import nobody_has_ended
from tinysnitch.core.engine.engine import Engine
from tinysnitch.core.engine.events import DataLost, ModeSet
from tinysnitch.core.model.asking_mode import ASKING
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.errors import RuleSyntaxError, SnitchError
from tinysnitch.core.model.flow import Flow, parse_address
from tinysnitch.core.model.process import ProcessKey
from tinysnitch.core.model.settings import Settings
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.daemon.control.clients import ControlClients
from tinysnitch.daemon.control.permissions import Permissions
from tinysnitch.daemon.control.server import ControlServer
from tinysnitch.daemon.control.unseen_prompts import UnseenQuestions
from tinysnitch.daemon.instance import Identity, Instance
from tinysnitch.daemon.logs.error_log import ErrorLog
from tinysnitch.daemon.logs.log_output import LogOutput
from tinysnitch.daemon.logs.loss_watch import LossWatch
from tinysnitch.daemon.logs.past_finder import PastFinder
from tinysnitch.daemon.logs.private_file import PRIVATE_FILE, PrivateFile
from tinysnitch.daemon.logs.recorder import Recorder
from tinysnitch.daemon.logs.traffic_recorder import TrafficRecorder
from tinysnitch.daemon.loop.driver import Driver, Ports
from tinysnitch.daemon.loop.file_guard import SocketWatch
from tinysnitch.daemon.loop.process_watch import ProcessWatch
from tinysnitch.daemon.loop.reloader import Reloader
from tinysnitch.daemon.loop.resolved_names import ResolvedNames
from tinysnitch.daemon.loop.settings_watch import SettingsWatch
from tinysnitch.daemon.options import Options
from tinysnitch.daemon.requests.counters import Counters
from tinysnitch.daemon.requests.handler import RequestHandler
from tinysnitch.daemon.requests.looking_back import LookingBack
from tinysnitch.daemon.rules.facts import FactSource
from tinysnitch.daemon.rules.lists import ListCompiler, ListLoader
from tinysnitch.daemon.rules.loader import RuleLoader
from tinysnitch.daemon.rules.mode_keeper import ModeKeeper
from tinysnitch.daemon.rules.paths import PathFacts, PathWatch
from tinysnitch.daemon.rules.programs_file import PROGRAMS, ProgramsFile, read_packaged
from tinysnitch.daemon.rules.saver import RuleSaver
from tinysnitch.daemon.rules.users import UserIds
from tinysnitch.daemon.rules.uses import UseCounts
from tinysnitch.daemon.scheduling.failures import Failures
from tinysnitch.daemon.scheduling.follow import follow
from tinysnitch.daemon.scheduling.timers import SingleTimer
from tinysnitch.daemon.startup.handover import find_first_number, names_handed_over
from tinysnitch.daemon.startup.prompt_process import how_to_be_asked
from tinysnitch.daemon.traffic.dns_question_feed import QuestionFeed
from tinysnitch.daemon.traffic.feed import TrafficFeed
from tinysnitch.daemon.traffic.kernel_rows import KernelRows
from tinysnitch.kernel.attribution.attribution import Attributor
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.netlink.addresses import AddressNews
from tinysnitch.kernel.netlink.sock_diag import SocketDiag
from tinysnitch.kernel.nfqueue.intake import Intake
from tinysnitch.kernel.nfqueue.nat_replies import NatReplies
from tinysnitch.kernel.nfqueue.packet_events import PacketEvents
from tinysnitch.kernel.nfqueue.queue import Queue
from tinysnitch.kernel.nfqueue.verdicts import VerdictSink
from tinysnitch.kernel.proc.mounts import MountNews
from tinysnitch.kernel.system.clock import read_boot_id, read_instant
from tinysnitch.kernel.system.libcrypto import Libcrypto
from tinysnitch.kernel.system.offload import Offload
from tinysnitch.protocol.messages import LEARNED_RULES
from tinysnitch.store.change_record import ChangeRecord
from tinysnitch.store.handover_files import KeptMode, KeptNames
from tinysnitch.store.history import History
from tinysnitch.store.learned_rules import LearnedRules
from tinysnitch.store.rule_groups import RuleGroups
from tinysnitch.store.rule_numbers import RuleNumbers
from tinysnitch.store.rules_file import RulesFile
from tinysnitch.store.temporary_rules import TemporaryRules
from tinysnitch.store.traffic.traffic_reader import TrafficReader
from tinysnitch.store.traffic.traffic_store import TrafficStore

HEADERS_SIZE = 1280  # bytes of a packet that is judged: all headers are in the first ones (RFC 7112 5, RFC 8200 5)
SUMS, TEMPORARY = "traffic.sqlite", "temporary.rules"  # files in the state folder
PAUSE_ENDED = "the pause ended: not all rules load, and what they deny would pass"
RESET_TAKES_S = 1.0  # a reset crosses the loopback at once, except on a very busy machine

_log = logging.getLogger(__name__)


class _Closable(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=_Closable)


def read_extra_interpreters(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Read TINYSNITCH_TRIMS: further interpreters, as names or whole paths, separated by blanks or commas."""
    return tuple(environment.get("TINYSNITCH_TRIMS", "").replace(",", " ").split())


class Relay:
    """Calls what it is connected to; nothing until then."""

    def __init__(self) -> None:
        self.target: Callable[..., object] = lambda *_arguments: None

    def __call__(self, *arguments: object) -> None:
        self.target(*arguments)


@dataclass(frozen=True, slots=True)
class Assembly:
    """The parts in user space that the start and the end have to do with. `start` sets them all going."""

    fact_source: FactSource
    recorder: Recorder
    clients: ControlClients
    driver: Driver
    loader: RuleLoader
    reloader: Reloader
    rule_saver: RuleSaver
    programs_file: ProgramsFile
    counters: Counters
    server: ControlServer
    settings: SettingsWatch

    async def start(self, options: Options, undo: AsyncExitStack) -> None:
        """Return once the rules are in force and packets are read."""
        undo.push_async_callback(self.server.close)
        await self.server.start(options.socket)
        watch = SocketWatch(options.socket, self.server.listen_anew)
        undo.callback(watch.stop)
        watch.start()
        resolved_names = self.driver.ports.resolved_names
        traffic = self.driver.ports.traffic
        parts = (
            self.rule_saver,
            traffic,
            self.driver.ports.questions,
            self.driver.ports.pasts,
            self.driver,
            self.reloader,
            self.programs_file,
            self.settings,
            resolved_names,
        )
        for part in parts:
            undo.callback(part.stop)
        self.programs_file.start()
        await self.reloader.start(options.rules, options.lists)
        if self.loader.errors:
            self._check_rules(self.loader.errors[0], options)
        # Last: where an earlier daemon left its netfilter rules, packets wait already, and no rule was known before.
        losses = LossWatch(self.counters.untold_losses)
        self.driver.start(losses.new_losses)
        resolved_names.start()
        traffic.start()
        undo.callback(self.driver.failures.attempt, self._tell_last_losses, losses)

    def tell_of_netfilter(self, what: str, hint: str) -> None:
        """Tell the log and all prompts what became of the netfilter rules."""
        self.driver.feed(DataLost(what, 1))
        self.clients.push_notice(what, hint)

    def _tell_last_losses(self, losses: LossWatch) -> None:
        self.driver.feed(*losses.rest())

    def _check_rules(self, first: RuleSyntaxError, options: Options) -> None:
        """Refuse to observe without the rules, and end a pause, since what they deny would pass."""
        if options.is_learning:
            broken, _held = self.loader.find_broken(first)
            raise SnitchError(f"{broken} does not load: {first}", first.hint or "mend it, or leave --learn out")
        if self.driver.engine.mode.verdict is Verdict.ALLOW:
            self.driver.feed(ModeSet(ASKING, os.geteuid()), DataLost(PAUSE_ENDED, 1))


def assemble(
    identity: Identity,
    programs: BpfPrograms | None,
    undo: AsyncExitStack,
    *,
    rules_file: RulesFile,
    groups: RuleGroups,
    permissions: Permissions,
    error_log: ErrorLog,
    watch_settings: Callable[[Driver, FactSource], SettingsWatch],
) -> Assembly:
    options = identity.options
    fact_changed, feed, process_exited = Relay(), Relay(), Relay()
    loader = RuleLoader(rules_file, source := make_source(options, undo, fact_changed), groups)
    history, recorder, sums, temporary_rules = _open_files(options, undo)
    engine = _make_engine(options, loader, programs, history, temporary_rules, undo)
    clients, failures, news = _make_clients(options, undo), Failures(), _closed_at_end(AddressNews(), undo)
    ports = _open_ports(
        identity,
        programs,
        engine,
        news,
        undo,
        feed=feed,
        process_exited=process_exited,
        rule_saver=(saver := RuleSaver(rules_file, temporary_rules, clients=clients, failures=failures, report=feed)),
        recorder=recorder,
        sums=sums,
        clients=clients,
        failures=failures,
    )
    reloader = Reloader(driver := Driver(engine, ports, failures), loader, news, _closed_at_end(MountNews(), undo))
    fact_changed.target, feed.target, process_exited.target = reloader.refresh_facts, driver.feed, driver.process_exited
    counters, settings = Counters(driver, programs, error_log), watch_settings(driver, source)
    handler = RequestHandler(
        identity,
        driver,
        rules_file=rules_file,
        loader=loader,
        reloader=reloader,
        counters=counters,
        history=history,
        looking_back=_keep_sums(options, ports, sums, counters, feed, undo),
        settings=settings,
        numbers=_open_numbers(options, undo),
        changes=ChangeRecord(options.state_dir / "changes.json"),
    )
    return Assembly(
        fact_source=source,
        recorder=recorder,
        clients=clients,
        driver=driver,
        loader=loader,
        reloader=reloader,
        rule_saver=saver,
        programs_file=ProgramsFile(options.config_dir / PROGRAMS, clients, feed),
        counters=counters,
        server=ControlServer(handler, permissions, clients),
        settings=settings,
    )


def _open_numbers(options: Options, undo: AsyncExitStack) -> RuleNumbers:
    return _closed_at_end(RuleNumbers(options.state_dir / "rule-numbers"), undo)


def make_source(options: Options, undo: AsyncExitStack, changed: Callable[[], None]) -> FactSource:
    """Make the source of facts, and the watches that tell when a fact changes."""
    compiler, try_again = ListCompiler(), Relay()
    undo.push_async_callback(compiler.close)
    again = SingleTimer(try_again)
    undo.callback(again.cancel)
    lists = ListLoader(options.lists, options.state_dir / "lists", compiler, changed, failed=again.start)
    try_again.target = lists.try_again
    users = _closed_at_end(UserIds(changed), undo)
    watch = PathWatch(lambda watch: follow(watch, changed), Offload().look)
    undo.callback(watch.stop)
    paths = PathFacts(watch.follow, changed)
    undo.callback(paths.cancel)
    source = FactSource(lists, frozenset(map(parse_address, options.resolvers)), users, paths, again=changed)
    undo.callback(source.cancel)
    return source


def _make_clients(options: Options, undo: AsyncExitStack) -> ControlClients:
    if not options.asks_people:
        return ControlClients()
    unseen = UnseenQuestions(how_to_be_asked(options))
    undo.callback(unseen.stop)
    return ControlClients(unseen)


def _closed_at_end(part: C, undo: AsyncExitStack) -> C:
    undo.callback(part.close)
    return part


def _open_files(options: Options, undo: AsyncExitStack) -> tuple[History, Recorder, TrafficRecorder, TemporaryRules]:
    history = _closed_at_end(History(options.state_dir / "history.sqlite"), undo)
    log = LogOutput(sys.stdout.fileno())
    undo.callback(close_log, log)
    recorder = Recorder(log, options.log, history, LearnedRules(options.state_dir / LEARNED_RULES))
    store = TrafficStore(options.state_dir / SUMS, options.history_days, options.history_size << 20)
    sums = _closed_at_end(TrafficRecorder(store, Offload().begin), undo)
    return history, recorder, sums, TemporaryRules(options.state_dir / TEMPORARY)


def _keep_sums(
    options: Options,
    ports: Ports,
    sums: TrafficRecorder,
    counters: Counters,
    feed: Callable[..., object],
    undo: AsyncExitStack,
) -> LookingBack:
    counters.sums = sums
    ports.traffic.listen(sums.take)
    ports.questions.listener = sums.take_questions
    private = PrivateFile(options.config_dir / PRIVATE_FILE, (ports.recorder, sums), feed)
    undo.callback(private.stop)
    private.start()
    return LookingBack(ports.traffic, ports.questions, sums, TrafficReader(options.state_dir / SUMS))


def _make_engine(
    options: Options,
    loader: RuleLoader,
    programs: BpfPrograms | None,
    history: History,
    temporary_rules: TemporaryRules,
    undo: AsyncExitStack,
) -> Engine:
    """Make the engine, with the temporary rules and names that the previous daemon left."""
    now = read_instant()
    engine = Engine(
        Settings(
            timeout_s=options.timeout_s,
            is_learning=options.is_learning,
            first_prompt_id=find_first_number(history, now.boot_s),
        ),
        loader.facts,
        programs.generation if programs else 1,
        catalogue=read_packaged(),
        cipher=Libcrypto(),
        has_ended=programs.has_ended if programs else nobody_has_ended,
    )
    moment = Instant(now.boot_s, temporary_rules.find_moment(now.wall_s))
    for rule in temporary_rules.read(moment.wall_s):
        engine.rules.add(rule, moment)
    undo.enter_context(names_handed_over(engine.dns.names, KeptNames(options.state_dir / "names"), programs))
    return engine


def _go_on_with_mode(
    options: Options, engine: Engine, clients: ControlClients, report: Callable[[DataLost], object]
) -> ModeKeeper:
    """Put the mode in force that the previous daemon left."""
    keeper = ModeKeeper(KeptMode(options.state_dir / "mode"), report)
    if not options.is_learning:
        engine.mode = keeper.read()
    clients.mode = engine.mode
    return keeper


def _open_ports(
    identity: Identity,
    programs: BpfPrograms | None,
    engine: Engine,
    news: AddressNews,
    undo: AsyncExitStack,
    *,
    feed: Callable[..., object],
    process_exited: Callable[[ProcessKey], None],
    rule_saver: RuleSaver,
    recorder: Recorder,
    sums: TrafficRecorder,
    clients: ControlClients,
    failures: Failures,
) -> Ports:
    queue, names_queue = _open_queues(identity.instance, undo, is_alone=programs is None)
    attributor = _make_attributor(programs, engine, undo)
    nat_replies = _closed_at_end(NatReplies(programs), undo)
    processes = _closed_at_end(ProcessWatch(process_exited), undo)
    verdicts = VerdictSink(queue, names_queue, programs, _make_end(undo), scope=identity.options.scope)
    was_adopted = programs is not None and programs.was_adopted
    uses = UseCounts(verdicts.uses, identity.options.state_dir / "uses", read_boot_id(), was_adopted=was_adopted)
    undo.callback(uses.stop)
    traffic, reader = (
        TrafficFeed(failures, _rows_of(programs, engine)),
        TrafficReader(identity.options.state_dir / SUMS),
    )
    return Ports(
        queue=queue,
        names_queue=names_queue,
        attributor=attributor,
        intake=Intake(
            PacketEvents(attributor, news.find_interface),
            nat_replies,
            verdicts,
            engine.dns.is_early,
            programs.read_questions if programs else tuple,
        ),
        verdicts=verdicts,
        uses=uses,
        resolved_names=ResolvedNames(feed),
        processes=processes,
        rule_saver=rule_saver,
        mode_keeper=_go_on_with_mode(identity.options, engine, clients, feed),
        recorder=recorder,
        clients=clients,
        questions=QuestionFeed(attributor.find_program),
        traffic=traffic,
        pasts=PastFinder(traffic.hand_over, sums, reader, Offload().begin, feed),
    )


def _rows_of(programs: BpfPrograms | None, engine: Engine) -> KernelRows | None:
    def find_name(remote: bytes, port: int, exec_id: int) -> str | None:
        return engine.dns.names_at(remote, port, exec_id, read_instant().boot_s).name

    return KernelRows(programs, find_name) if programs else None


def _open_queues(instance: Instance, undo: AsyncExitStack, *, is_alone: bool) -> tuple[Queue, Queue]:
    """`is_alone`: without BPF only the queue itself tells the sender of a packet."""
    queue = _closed_at_end(Queue(instance.queues[0], copy_range=HEADERS_SIZE, tells_sender=is_alone), undo)
    return queue, _closed_at_end(Queue(instance.queues[1], tells_sender=is_alone), undo)


def _make_attributor(programs: BpfPrograms | None, engine: Engine, undo: AsyncExitStack) -> Attributor:
    extra_interpreters = read_extra_interpreters(os.environ)
    needs_sha256 = engine.rules.needs_sha256
    made = Attributor(programs, extra_interpreters=extra_interpreters, needs_sha256=needs_sha256)
    return _closed_at_end(made, undo)


def _make_end(undo: AsyncExitStack) -> Callable[[Flow, int], object]:
    """Make a function that ends a connection whose reset got lost: netfilter rules of others (wg-quick's) may drop it
    as a forged one."""
    sockets = _closed_at_end(SocketDiag(), undo)
    call_later = asyncio.get_running_loop().call_later
    return lambda flow, cookie: call_later(RESET_TAKES_S, sockets.end_connection, flow, cookie)


def close_log(log: LogOutput) -> None:
    """Close the log, and tell on standard error how many of its last lines nobody read: the log cannot say it."""
    before = log.lost
    log.close()
    if log.lost > before:
        _log.warning(
            "%d lines at the end of the log were lost: nobody took them from standard output", log.lost - before
        )
