"""From nothing to a firewall and back: each step registers its undo before it is done.

The order: claim the namespace and the state folder, the kernel's programs and what ran before, the queues, the control
socket, and the netfilter rules last; taken away from the last to the first. A start that fails leaves everything as it
was found: gone when it was not there, in force when an earlier daemon left it. One that is stopped leaves nothing.
"""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Thread

from tinysnitch.core.engine import Engine
from tinysnitch.core.errors import SnitchError
from tinysnitch.core.events import DataLost, FirewallEnds
from tinysnitch.core.flow import parse_address
from tinysnitch.core.settings import Settings
from tinysnitch.daemon.control_permission import Permissions
from tinysnitch.daemon.control_server import ControlServer
from tinysnitch.daemon.counters import Counters, LossWatch
from tinysnitch.daemon.driver import Doors, Driver
from tinysnitch.daemon.error_log import ErrorLog
from tinysnitch.daemon.fact_source import FactSource
from tinysnitch.daemon.follow import follow
from tinysnitch.daemon.front_desk import FrontDesk
from tinysnitch.daemon.identity import Identity
from tinysnitch.daemon.instance import Instance, claim, name_instance
from tinysnitch.daemon.list_compiler import ListCompiler
from tinysnitch.daemon.list_loader import ListLoader
from tinysnitch.daemon.log_output import LogOutput
from tinysnitch.daemon.names_handover import names_handed_over
from tinysnitch.daemon.netfilter_guard import PUT_BACK, NetfilterGuard
from tinysnitch.daemon.options import OnExit, Options
from tinysnitch.daemon.packet_socket_notes import PacketSocketNotes
from tinysnitch.daemon.path_watch import PathWatch
from tinysnitch.daemon.process_watch import ProcessWatch
from tinysnitch.daemon.prompt_numbers import find_first_number
from tinysnitch.daemon.prompt_process import PromptProcess
from tinysnitch.daemon.recorder import Recorder
from tinysnitch.daemon.rule_loader import RuleLoader
from tinysnitch.daemon.single_timer import SingleTimer
from tinysnitch.daemon.stop import Stop
from tinysnitch.daemon.user_ids import UserIds
from tinysnitch.kernel.addresses import AddressNews
from tinysnitch.kernel.attribution import Attributor
from tinysnitch.kernel.bpf_pins import remove_all_pins
from tinysnitch.kernel.bpf_programs import BpfPrograms
from tinysnitch.kernel.bpffs import mount_bpffs, unmount_bpffs
from tinysnitch.kernel.cgroups import find_cgroup_mount, make_cgroup, path_in_hierarchy, remove_cgroup
from tinysnitch.kernel.clock import read_instant
from tinysnitch.kernel.descriptor_limit import raise_limit
from tinysnitch.kernel.enforcement import Enforcement
from tinysnitch.kernel.hosts_file import HOSTS
from tinysnitch.kernel.libcrypto import Libcrypto
from tinysnitch.kernel.netfilter import Netfilter
from tinysnitch.kernel.netns import read_netns_cookie, read_netns_inode
from tinysnitch.kernel.nfqueue import Queue
from tinysnitch.kernel.packet_events import PacketEvents
from tinysnitch.kernel.packet_socket_watch import PacketSocketWatch
from tinysnitch.kernel.probe import find_missing
from tinysnitch.kernel.resolv_conf import RESOLV_CONF, RESOLVED_UPSTREAMS
from tinysnitch.kernel.seed import seed
from tinysnitch.kernel.sockets import SocketDiag
from tinysnitch.kernel.translated_answers import TranslatedAnswers
from tinysnitch.protocol.log_lines import ReadyLine, format_time
from tinysnitch.store.file_watch import watch_file, watch_folder
from tinysnitch.store.history import History
from tinysnitch.store.kept_names import KeptNames
from tinysnitch.store.rules_file import RulesFile
from tinysnitch.store.state_lock import StateLock
from tinysnitch.store.temporary_rules import TemporaryRules

OBSERVING = "observing: what no rule decides is allowed and recorded"
HEADERS_SIZE = 1280  # bytes of a packet that is judged: all headers are in the first ones (RFC 7112 5, RFC 8200 5)

_log = logging.getLogger(__name__)


def read_extra_interpreters(environment: Mapping[str, str]) -> tuple[str, ...]:
    """TINYSNITCH_TRIMS: further interpreters, names or whole paths, separated by blanks or commas."""
    return tuple(environment.get("TINYSNITCH_TRIMS", "").replace(",", " ").split())


async def run_daemon(options: Options) -> None:
    """Until it is stopped. Raises SnitchError when it cannot start."""
    stop = Stop()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, lambda: None)  # the rules are not loaded yet; its default is to end us
    async with AsyncExitStack() as undo:
        undo.callback(stop.block_further)
        daemon = SetUp(options, undo, undo.enter_context(ErrorLog()), stop)
        if await stop.is_later_than(daemon.start()):
            loop.add_signal_handler(signal.SIGHUP, daemon.driver.reload_rules)
            await stop.wait()


@contextmanager
def begun(work: Callable[[], object]) -> Iterator[None]:
    """Do the work beside what is done inside. Its errors are for who does it again.

    In a thread: 100 000 rules are parsed in 0.4 s, while the kernel looks through our programs.
    """

    def attempt() -> None:
        with suppress(SnitchError):
            work()

    thread = Thread(target=attempt)
    thread.start()
    try:
        yield
    finally:
        thread.join()


class SetUp:
    """Builds the daemon step by step. Attributes exist once their step is done."""

    driver: Driver

    def __init__(self, options: Options, undo: AsyncExitStack, error_log: ErrorLog, stop: Stop) -> None:
        self._options = options
        self._stop = stop
        self._error_log = error_log
        self._undo = undo
        self._is_ready = False
        self._was_there = False  # an earlier daemon left enforcement in place
        self._limits = raise_limit()
        self._prompt = PromptProcess(options.socket, os.environ) if options.has_prompt else None
        self._rules_file = RulesFile(options.rules)
        self._permissions = Permissions(options.users, options.admins)

    async def start(self) -> None:
        instance = name_instance(read_netns_cookie(), self._options.is_scoped)
        self._undo.callback(claim(instance).close)
        self._undo.callback(StateLock(self._options.state_dir).close)
        left = Netfilter(instance.label, instance.queues, program_path=None)
        self._was_there = left.is_present()
        if self._was_there:
            self._undo.callback(self._open_early, left, instance.pins)
        cgroup = self._choose_cgroup(instance)
        if self._options.is_scoped:  # what judges one command leaves the rest of the machine as it is
            self._rules_file.hold_starter()
        elif self._rules_file.ensure_exists():
            _log.warning("%s was not there: made with a starter set of rules", self._rules_file.path)
        with begun(self._rules_file.read):
            programs, problem = self._load_programs(instance, cgroup)
        scope = path_in_hierarchy(cgroup) if self._options.is_scoped else None
        netfilter = Netfilter(instance.label, instance.queues, programs.program_path if programs else None, scope)
        identity = Identity(
            options=self._options,
            instance=instance,
            pid=os.getpid(),
            netns=read_netns_inode(),
            cgroup=str(cgroup),
            degraded_because=problem,
            started_s=read_instant().boot_s,
        )
        await self._assemble(identity, programs)
        notes = None if self._options.is_scoped else self._watch_packet_sockets(programs)
        await self._start_prompt()  # before the first step that changes what an earlier daemon left
        self._add_rules(netfilter)
        if not self._options.is_scoped:  # what one command leaves running is ended with it
            self._undo.callback(self._take_away, self._refuse_waiting)
        self._guard(netfilter)
        if programs:
            programs.remove_stale()
        else:  # denials of an earlier daemon would hold on inside connect()
            remove_all_pins(instance.pins)
        gc.freeze()  # what is loaded by now stays; a collection that walked over it would hold verdicts up
        self._say_ready(identity)
        if notes:
            notes.start()
        self._is_ready = True

    def _choose_cgroup(self, instance: Instance) -> Path:
        if not self._options.is_scoped:
            return self._options.cgroup or find_cgroup_mount()
        cgroup = find_cgroup_mount() / instance.label.lower()
        self._undo.callback(remove_cgroup, cgroup)
        return make_cgroup(cgroup.name)

    def _open_early(self, left: Netfilter, pins: Path) -> None:
        """Who is stopped while it starts has failed at nothing: what closed the machine for it goes, too."""
        if self._stop.has_come and not self._is_ready and not self._keeps():
            left.remove()
            remove_all_pins(pins)

    def _keeps(self) -> bool:
        is_followed = self._stop.is_hand_over and not self._options.is_scoped  # nobody takes over from one command's
        return self._options.on_exit is OnExit.KEEP or is_followed

    def _take_away(self, remove: Callable[[], None]) -> None:
        """At the end: what the options and the signal say. After a failed start: what was not there before."""
        is_kept = self._keeps() if self._is_ready else self._was_there
        if not is_kept:
            remove()

    def _refuse_waiting(self) -> None:
        """Who is held would try again when the rules are gone, and get through unasked."""
        self.driver.feed(FirewallEnds())

    def _take_programs_away(self, programs: BpfPrograms) -> None:
        """A failed start takes its own alone: beside them may be those of an earlier daemon, for another --cgroup."""
        if self._is_ready:
            self._take_away(programs.remove)
        else:
            programs.withdraw()

    # The kernel's side

    def _load_programs(self, instance: Instance, cgroup: Path) -> tuple[BpfPrograms | None, str]:
        """The programs, or why there are none: then the degraded mode has to do."""
        if not self._options.is_bpf_wanted:
            return None, "switched off"
        try:
            if mount_bpffs():
                self._undo.callback(self._take_away, unmount_bpffs)
            programs = BpfPrograms.load(instance.pins, cgroup, read_netns_cookie(), self._options.is_scoped)
        except SnitchError as error:
            return None, "; ".join((str(error), *find_missing()))
        self._undo.callback(programs.close)
        self._undo.callback(self._take_programs_away, programs)
        with SocketDiag() as sockets:
            seed(programs, sockets)
        return programs, ""

    def _add_rules(self, netfilter: Netfilter) -> None:
        self._undo.callback(self._take_away, partial(self._remove_rules, netfilter))
        netfilter.add()
        if netfilter.lacks_security():
            _log.warning("no security table in this kernel: a netfilter rule of others may accept what is denied")

    def _remove_rules(self, netfilter: Netfilter) -> None:
        try:
            netfilter.remove()
        except SnitchError as error:
            # What stays of one command's firewall is taken away by `tinysnitch run`.
            later = "" if self._options.is_scoped else "; `tinysnitch-iptables-remove` takes them away"
            raise SnitchError(f"the netfilter rules stay: {error}", error.hint + later) from None

    def _guard(self, netfilter: Netfilter) -> None:
        guard = self._desk.counters.guard = NetfilterGuard(netfilter, self._tell_of_netfilter)
        self._undo.push_async_callback(guard.stop)
        guard.start()

    def _tell_of_netfilter(self, what: str) -> None:
        self.driver.feed(DataLost(what, 1))
        self._server.push_notice(what, "`nft monitor` tells who does it" if what == PUT_BACK else "restart tinysnitchd")

    def _watch_packet_sockets(self, programs: BpfPrograms | None) -> PacketSocketNotes:
        notes = PacketSocketNotes(PacketSocketWatch(programs), self.driver.report)
        self._undo.callback(notes.stop)
        return notes

    # User space

    async def _start_prompt(self) -> None:
        if self._prompt:
            self._undo.push_async_callback(self._prompt.stop)
            await self._prompt.start(self._limits)

    async def _assemble(self, identity: Identity, programs: BpfPrograms | None) -> None:
        options = self._options
        temporary_rules = TemporaryRules(options.state_dir / "temporary.rules")
        loader = RuleLoader(self._rules_file, self._make_source())
        history = self._open_history()
        log = LogOutput(sys.stdout.fileno())
        self._undo.callback(log.close)
        self._recorder = Recorder(log, options.log, history)
        settings = Settings(
            timeout_s=options.timeout_s,
            is_learning=options.is_learning,
            first_prompt_id=find_first_number(history, read_instant().boot_s),
        )
        engine = Engine(settings, loader.facts, programs.generation if programs else 1, Libcrypto())
        now = read_instant()
        for rule in temporary_rules.read(now.wall_s):
            engine.rules.add(rule, now)
        self._undo.enter_context(names_handed_over(engine.names, KeptNames(options.state_dir / "names"), programs))
        desk = FrontDesk(identity, engine, rules_file=self._rules_file, loader=loader, history=history)
        server = ControlServer(desk, self._permissions)
        self._desk, self._server = desk, server
        queue, names_queue = self._open_queues(identity.instance)
        news = AddressNews()
        self._undo.callback(news.close)
        attributor = Attributor(
            programs, extra_interpreters=read_extra_interpreters(os.environ), needs_sha256=engine.rules.needs_sha256
        )
        self._undo.callback(attributor.close)
        translated_answers = TranslatedAnswers(programs)
        self._undo.callback(translated_answers.close)
        doors = Doors(
            queue=queue,
            names_queue=names_queue,
            address_news=news,
            attributor=attributor,
            packet_events=PacketEvents(attributor, news.find_interface),
            translated_answers=translated_answers,
            enforcement=Enforcement(queue, names_queue, programs),
            rule_loader=loader,
            rules_file=self._rules_file,
            temporary_rules=temporary_rules,
            recorder=self._recorder,
        )
        await self._connect(engine, doors, desk, server=server, programs=programs)

    def _make_source(self) -> FactSource:
        """Of the facts, with what tells of their changes."""
        options, compiler = self._options, ListCompiler()
        self._undo.push_async_callback(compiler.close)
        again = SingleTimer(lambda: lists.try_again())
        self._undo.callback(again.cancel)
        cache, changed = options.state_dir / "lists", lambda: self.driver.refresh_facts()
        lists = ListLoader(options.lists, cache, compiler, changed, failed=again.start)
        users = UserIds(lambda: self.driver.refresh_facts())
        self._undo.callback(users.close)
        paths = PathWatch(lambda watch: follow(watch, self._facts_changed))
        self._undo.callback(paths.stop)
        return FactSource(lists, frozenset(map(parse_address, options.resolvers)), users.find, paths.follow)

    async def _connect(
        self, engine: Engine, doors: Doors, desk: FrontDesk, *, server: ControlServer, programs: BpfPrograms | None
    ) -> None:
        processes = ProcessWatch(lambda exec_id: self.driver.process_exited(exec_id))
        self._undo.callback(processes.close)
        self.driver = desk.driver = Driver(engine, doors, processes, server)
        desk.counters = Counters(self.driver, programs, server, self._error_log)
        self._undo.push_async_callback(server.close)
        if self._prompt:
            self._permissions.invite(self._prompt.user.pw_uid)
        await server.start(self._options.socket)
        self._undo.callback(self.driver.stop)
        await self._follow_files()
        self._check_rules(doors.rule_loader)
        # Last: where an earlier daemon left its rules, packets wait already, and no rule is known before.
        losses = LossWatch(desk.counters.losses)
        self.driver.start(losses.new_losses)
        self._undo.callback(lambda: self.driver.feed(*losses.rest()))

    def _check_rules(self, loader: RuleLoader) -> None:
        """Without its rules a firewall that asks is closed, but one that learns lets through what they deny."""
        if loader.errors and self._options.is_learning:
            first = loader.errors[0]
            raise SnitchError(f"the rules file does not load: {first}", first.hint or "mend it, or leave --learn out")

    def _open_history(self) -> History:
        history = History(self._options.state_dir / "history.sqlite")
        self._undo.callback(history.close)
        return history

    def _open_queues(self, instance: Instance) -> tuple[Queue, Queue]:
        queue = Queue(instance.queues[0], copy_range=HEADERS_SIZE)
        self._undo.callback(queue.close)
        names_queue = Queue(instance.queues[1])
        self._undo.callback(names_queue.close)
        return queue, names_queue

    # Files that are followed

    async def _follow_files(self) -> None:
        """Load the rules as soon as their file is watched, and what they speak of, so that no edit falls between."""
        for path in (RESOLV_CONF, HOSTS, Path("/etc/passwd")):
            self._spawn(follow(partial(watch_file, path), self._facts_changed))
        for folder in (RESOLVED_UPSTREAMS.parent, self._options.lists):
            self._spawn(follow(partial(watch_folder, folder), self._facts_changed))
        self._spawn(follow(partial(watch_file, self._options.rules), self.driver.reload_rules))
        await self.driver.has_rules.wait()

    def _facts_changed(self) -> None:
        """Loading the rules reads the facts too: until then there is nothing to do."""
        if self.driver.has_rules.is_set():
            self.driver.refresh_facts()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._undo.callback(task.cancel)

    def _say_ready(self, identity: Identity) -> None:
        now = read_instant()
        line = ReadyLine(
            time=format_time(now.wall_s),
            pid=identity.pid,
            mode=identity.mode,
            netns=identity.netns,
            rules=len(self.driver.engine.rules),
            socket=str(self._options.socket),
            cgroup=identity.cgroup,
        )
        remarks = (OBSERVING,) if self._options.is_learning else ()
        self._recorder.begin(line, *remarks)
        self._recorder.flush(now)
