"""Builds the daemon's parts in user space, registers the undo of each, and starts them."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

from tinysnitch.core.dns.names import nobody_has_ended
from tinysnitch.core.engine.engine import Engine
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.flow import Flow, parse_address
from tinysnitch.core.model.settings import Settings
from tinysnitch.daemon.control.clients import ControlClients
from tinysnitch.daemon.control.permissions import Permissions
from tinysnitch.daemon.control.server import ControlServer
from tinysnitch.daemon.instance import Identity, Instance
from tinysnitch.daemon.logs.error_log import ErrorLog
from tinysnitch.daemon.logs.log_output import LogOutput
from tinysnitch.daemon.logs.loss_watch import LossWatch
from tinysnitch.daemon.logs.recorder import Recorder
from tinysnitch.daemon.loop.driver import Driver, Ports
from tinysnitch.daemon.loop.file_guard import SocketWatch
from tinysnitch.daemon.loop.process_watch import ProcessWatch
from tinysnitch.daemon.loop.reloader import Reloader
from tinysnitch.daemon.loop.resolved_names import ResolvedNames
from tinysnitch.daemon.requests.counters import Counters
from tinysnitch.daemon.requests.handler import RequestHandler
from tinysnitch.daemon.rules.facts import FactSource
from tinysnitch.daemon.rules.lists import ListCompiler, ListLoader
from tinysnitch.daemon.rules.loader import RuleLoader
from tinysnitch.daemon.rules.paths import PathFacts, PathWatch
from tinysnitch.daemon.rules.saver import RuleSaver
from tinysnitch.daemon.rules.users import UserIds
from tinysnitch.daemon.scheduling.failures import Failures
from tinysnitch.daemon.scheduling.follow import follow
from tinysnitch.daemon.scheduling.timers import SingleTimer
from tinysnitch.daemon.startup.handover import find_first_number, names_handed_over
from tinysnitch.kernel.attribution.attribution import Attributor
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.netlink.addresses import AddressNews
from tinysnitch.kernel.netlink.sock_diag import SocketDiag
from tinysnitch.kernel.nfqueue.intake import Intake
from tinysnitch.kernel.nfqueue.nat_replies import NatReplies
from tinysnitch.kernel.nfqueue.packet_events import PacketEvents
from tinysnitch.kernel.nfqueue.queue import Queue
from tinysnitch.kernel.nfqueue.verdicts import VerdictSink
from tinysnitch.kernel.system.clock import read_instant
from tinysnitch.kernel.system.libcrypto import Libcrypto
from tinysnitch.kernel.system.offload import Offload
from tinysnitch.protocol.messages import LEARNED_RULES
from tinysnitch.store.handover_files import KeptNames
from tinysnitch.store.history import History
from tinysnitch.store.learned_rules import LearnedRules
from tinysnitch.store.rules_file import RulesFile
from tinysnitch.store.temporary_rules import TemporaryRules

HEADERS_SIZE = 1280  # bytes of a packet that is judged: all headers are in the first ones (RFC 7112 5, RFC 8200 5)
RESET_TAKES_S = 1.0  # a reset crosses the loopback at once, except on a very busy machine

_log = logging.getLogger(__name__)


def read_extra_interpreters(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Read TINYSNITCH_TRIMS: further interpreters, as names or whole paths, separated by blanks or commas."""
    return tuple(environment.get("TINYSNITCH_TRIMS", "").replace(",", " ").split())


class Assembly:
    """All parts in user space. Its public attributes are those that lifecycle.py uses; `start` sets them going."""

    def __init__(
        self,
        identity: Identity,
        programs: BpfPrograms | None,
        undo: AsyncExitStack,
        *,
        rules_file: RulesFile,
        permissions: Permissions,
        error_log: ErrorLog,
    ) -> None:
        options = identity.options
        self._options = options
        self._programs = programs
        self._undo = undo
        self.fact_source = self._make_source()
        self._loader = RuleLoader(rules_file, self.fact_source)
        history = self._open_history()
        log = LogOutput(sys.stdout.fileno())
        undo.callback(_close_log, log)
        learned_rules = LearnedRules(options.state_dir / LEARNED_RULES) if options.is_learning else None
        self.recorder = Recorder(log, options.log, history, learned_rules)
        temporary_rules = TemporaryRules(options.state_dir / "temporary.rules")
        self._engine = self._make_engine(history, temporary_rules)
        self.clients = ControlClients()
        self._failures = Failures()
        self._rule_saver = self._make_saver(rules_file, temporary_rules)
        queues, news = self._open_queues(identity.instance), AddressNews()
        undo.callback(news.close)
        self.driver = Driver(self._engine, self._open_ports(*queues, news), self._failures)
        self.reloader = Reloader(self.driver, self._loader, news)
        self.counters = Counters(self.driver, programs, error_log)
        self._server = ControlServer(self._make_handler(identity, rules_file, history), permissions, self.clients)
        undo.push_async_callback(self._server.close)

    def _make_source(self) -> FactSource:
        """Make the source of facts, and the watches that tell when a fact changes."""
        options, compiler = self._options, ListCompiler()
        self._undo.push_async_callback(compiler.close)
        again = SingleTimer(lambda: lists.try_again())
        self._undo.callback(again.cancel)
        cache = options.state_dir / "lists"
        lists = ListLoader(options.lists, cache, compiler, self._facts_changed, failed=again.start)
        users = UserIds(self._facts_changed)
        self._undo.callback(users.close)
        watch = PathWatch(lambda watch: follow(watch, self._facts_changed), Offload().look)
        self._undo.callback(watch.stop)
        paths = PathFacts(watch.follow, self._facts_changed)
        self._undo.callback(paths.cancel)
        resolvers = frozenset(map(parse_address, options.resolvers))
        source = FactSource(lists, resolvers, users, paths, again=self._facts_changed)
        self._undo.callback(source.cancel)
        return source

    def _facts_changed(self) -> None:
        self.reloader.refresh_facts()

    def _open_history(self) -> History:
        history = History(self._options.state_dir / "history.sqlite")
        self._undo.callback(history.close)
        return history

    def _make_engine(self, history: History, temporary_rules: TemporaryRules) -> Engine:
        """Make the engine, with the temporary rules and names that the previous daemon left."""
        options, programs = self._options, self._programs
        settings = Settings(
            timeout_s=options.timeout_s,
            is_learning=options.is_learning,
            first_prompt_id=find_first_number(history, read_instant().boot_s),
        )
        engine = Engine(
            settings,
            self._loader.facts,
            programs.generation if programs else 1,
            cipher=Libcrypto(),
            has_ended=programs.has_ended if programs else nobody_has_ended,
        )
        now = read_instant()
        now = Instant(now.boot_s, temporary_rules.find_moment(now.wall_s))
        for rule in temporary_rules.read(now.wall_s):
            engine.rules.add(rule, now)
        self._undo.enter_context(names_handed_over(engine.dns.names, KeptNames(options.state_dir / "names"), programs))
        return engine

    def _make_saver(self, rules_file: RulesFile, temporary_rules: TemporaryRules) -> RuleSaver:
        return RuleSaver(
            rules_file,
            temporary_rules,
            clients=self.clients,
            failures=self._failures,
            report=lambda loss: self.driver.feed(loss),
        )

    def _open_queues(self, instance: Instance) -> tuple[Queue, Queue]:
        is_alone = self._programs is None  # without BPF only the queue itself tells the sender of a packet
        queue = Queue(instance.queues[0], copy_range=HEADERS_SIZE, tells_sender=is_alone)
        self._undo.callback(queue.close)
        names_queue = Queue(instance.queues[1], tells_sender=is_alone)
        self._undo.callback(names_queue.close)
        return queue, names_queue

    def _open_ports(self, queue: Queue, names_queue: Queue, news: AddressNews) -> Ports:
        programs, needs_sha256 = self._programs, self._engine.rules.needs_sha256
        extra_interpreters = read_extra_interpreters(os.environ)
        attributor = Attributor(programs, extra_interpreters=extra_interpreters, needs_sha256=needs_sha256)
        self._undo.callback(attributor.close)
        nat_replies = NatReplies(programs)
        self._undo.callback(nat_replies.close)
        processes = ProcessWatch(lambda process: self.driver.process_exited(process))
        self._undo.callback(processes.close)
        verdicts = VerdictSink(queue, names_queue, programs, self._make_end(), scope=self._options.scope)
        return Ports(
            queue=queue,
            names_queue=names_queue,
            attributor=attributor,
            intake=Intake(
                PacketEvents(attributor, news.find_interface), nat_replies, verdicts, self._engine.dns.is_early
            ),
            verdicts=verdicts,
            resolved_names=ResolvedNames(lambda told: self.driver.feed(told)),
            processes=processes,
            rule_saver=self._rule_saver,
            recorder=self.recorder,
            clients=self.clients,
        )

    def _make_handler(self, identity: Identity, rules_file: RulesFile, history: History) -> RequestHandler:
        return RequestHandler(
            identity,
            self.driver,
            rules_file=rules_file,
            loader=self._loader,
            reloader=self.reloader,
            counters=self.counters,
            history=history,
        )

    def _make_end(self) -> Callable[[Flow, int], object]:
        """Make a function that ends a connection whose reset got lost: netfilter rules of others (wg-quick's) may drop
        it as a forged one."""
        sockets = SocketDiag()
        self._undo.callback(sockets.close)
        call_later = asyncio.get_running_loop().call_later
        return lambda flow, cookie: call_later(RESET_TAKES_S, sockets.end_connection, flow, cookie)

    async def start(self) -> None:
        """Return once the rules are in force and packets are read."""
        await self._server.start(self._options.socket)
        watch = SocketWatch(self._options.socket, self._server.listen_anew)
        self._undo.callback(watch.stop)
        watch.start()
        resolved_names = self.driver.ports.resolved_names
        for part in (self._rule_saver, self.driver, self.reloader, resolved_names):
            self._undo.callback(part.stop)
        await self.reloader.start(self._options.rules, self._options.lists)
        self._check_rules()
        # Last: where an earlier daemon left its netfilter rules, packets wait already, and no rule was known before.
        losses = LossWatch(self.counters.untold_losses)
        self.driver.start(losses.new_losses)
        resolved_names.start()
        self._undo.callback(self._failures.attempt, self._tell_last_losses, losses)

    def _tell_last_losses(self, losses: LossWatch) -> None:
        self.driver.feed(*losses.rest())

    def _check_rules(self) -> None:
        """Refuse to observe without the rules, since what they deny would pass. Without --learn nothing would."""
        if self._loader.errors and self._options.is_learning:
            first = self._loader.errors[0]
            raise SnitchError(f"the rules file does not load: {first}", first.hint or "mend it, or leave --learn out")


def _close_log(log: LogOutput) -> None:
    """Close the log, and tell on standard error how many of its last lines nobody read: the log cannot say it."""
    before = log.lost
    log.close()
    if log.lost > before:
        _log.warning(
            "%d lines at the end of the log were lost: nobody took them from standard output", log.lost - before
        )
