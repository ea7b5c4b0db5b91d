"""From nothing to a firewall and back: each step registers its undo before it is done.

The order: claim the namespace and the state folder, load the BPF programs and tell them what runs already, open the
queues and the control socket, and add the netfilter rules last. The end undoes this from the last step to the first. A
start that fails leaves everything as it was: nothing of ours, or in force what an earlier daemon left. A start that is
stopped by a signal leaves nothing. A daemon that fails later leaves what a killed one would.

Imports at the start what Python would import at its first use, in the loop.

Verdicts would wait then, for as long as somebody keeps a folder locked that it is in (kernel/system/offload.py).
"""

import asyncio
import codecs
import concurrent.futures.thread  # noqa: F401  of asyncio.to_thread()
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import cached_property, partial
from pathlib import Path
from shlex import quote
from typing import BinaryIO

import publicsuffixlist

from tinysnitch.core.engine.events import DataLost, FirewallEnds
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.daemon.control.permissions import Permissions
from tinysnitch.daemon.instance import Identity, Instance, claim, name_instance
from tinysnitch.daemon.logs.error_log import ErrorLog
from tinysnitch.daemon.loop.file_guard import GONE, HINT, InterpreterWatch
from tinysnitch.daemon.loop.netfilter_guard import NetfilterGuard
from tinysnitch.daemon.loop.packet_socket_notes import PacketSocketNotes
from tinysnitch.daemon.options import OnExit, Options
from tinysnitch.daemon.scheduling.bounded_writer import BoundedWriter
from tinysnitch.daemon.startup.assembly import Assembly
from tinysnitch.daemon.startup.handover import EarlierArguments, keep_arguments
from tinysnitch.daemon.startup.prompt_process import PromptProcess
from tinysnitch.daemon.startup.service_notice import ServiceNotice
from tinysnitch.daemon.startup.stop import Stop
from tinysnitch.kernel.attribution.bootstrap import seed
from tinysnitch.kernel.bpf.packet_socket_watch import PacketSocketWatch
from tinysnitch.kernel.bpf.pins import mount_bpffs, remove_all_pins, unmount_bpffs
from tinysnitch.kernel.bpf.probe import find_hidden, find_missing
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.netfilter.firewall import Netfilter
from tinysnitch.kernel.netfilter.iptables import check_match
from tinysnitch.kernel.netlink.sock_diag import SocketDiag, check_lists
from tinysnitch.kernel.proc.cgroups import find_cgroup_mount, make_cgroup, path_in_hierarchy, remove_cgroup
from tinysnitch.kernel.proc.netns import read_netns_cookie, read_netns_inode
from tinysnitch.kernel.system.clock import check_boot_clock, read_instant
from tinysnitch.kernel.system.resources import give_back_memory, raise_limit
from tinysnitch.protocol.log_lines import ReadyLine, format_time
from tinysnitch.store.handover_files import KeptArguments
from tinysnitch.store.locks import StateLock
from tinysnitch.store.rules_file import RulesFile
from tinysnitch.store.text_file import close_to_readers, is_open_to_others

_CODECS = ("idna", "punycode", "unicode_escape")
_kept_open: list[BinaryIO] = []


def import_the_rest() -> None:
    """Also opens the list of public suffixes. That is read at its first use (core/model/domain.py): what is made of it
    takes 1.2 MB, and the reading 28 ms, once. While a file is open, its path is walked without a folder's lock
    (rcu-walk, Documentation/filesystems/path-lookup.rst)."""
    for name in _CODECS:
        codecs.lookup(name)
    _kept_open.append(open(publicsuffixlist.PSLFILE, "rb"))  # noqa: SIM115 - until the daemon ends


DROPPED = "held packets, dropped at the end while questions about them were open"
OBSERVING = "observing: what no rule decides is allowed and recorded"

_log = logging.getLogger(__name__)


async def run_daemon(options: Options) -> None:
    """Run until a signal stops it. Raises SnitchError when it cannot start."""
    check_boot_clock()
    check_lists()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # asyncio.run()'s handler would wait for a name service that hangs
    stop = Stop()
    async with AsyncExitStack() as undo:
        undo.callback(stop.block_further)
        daemon = SetUp(options, undo, undo.enter_context(ErrorLog()), stop)
        stop.listen()  # until now there was nothing to undo
        if await stop.is_later_than(daemon.start()):
            await stop.wait()


class SetUp:
    """Builds the daemon step by step. An attribute exists once its step is done."""

    parts: Assembly

    def __init__(self, options: Options, undo: AsyncExitStack, error_log: ErrorLog, stop: Stop) -> None:
        self._options = options
        self._stop = stop
        self._error_log = error_log
        self._undo = undo
        self._is_ready = False
        self._was_there = False  # an earlier daemon left enforcement in place
        self._limits = raise_limit()
        self._prompt = PromptProcess(options.socket, os.environ) if options.has_prompt else None
        self._rules_file = RulesFile(options.rules, BoundedWriter().do)
        self._arguments_file = KeptArguments(options.state_dir / "arguments")
        self._permissions = Permissions(options.users, options.admins)
        # A service may use `tinysnitch run`; then it is the service itself that tells systemd when it is ready.
        self._notice = ServiceNotice(os.environ) if options.scope.is_service else None
        if self._notice:
            undo.callback(self._notice.close)
        if self._prompt:
            self._permissions.invite(self._prompt.user.pw_uid)

    async def start(self) -> None:
        instance = name_instance(read_netns_cookie(), self._options.scope)
        self._claim(instance)
        cgroup = self._choose_cgroup(instance)
        self._prepare_rules_file()
        programs, problem = self._load_programs(instance, cgroup)
        import_the_rest()
        own_cgroup = path_in_hierarchy(cgroup) if self._options.scope.makes_cgroup else None
        netfilter = Netfilter(instance.label, instance.queues, programs.program_path if programs else None, own_cgroup)
        identity = self._identify(instance, cgroup, problem)
        await self._start_parts(identity, programs)
        notes = self._watch_packet_sockets(programs) if self._options.scope.is_service else None
        await self._start_prompt()  # may fail, so before the steps that change what an earlier daemon left
        self._stop.end_start()
        self._enforce(netfilter)
        self._watch_machine(is_bpf=programs is not None)
        if programs:
            programs.remove_stale()
        else:  # an earlier daemon's cached denials would go on inside connect()
            remove_all_pins(instance.pins)
        self._settle(identity, notes)

    def _claim(self, instance: Instance) -> None:
        self._undo.callback(claim(instance).close)
        self._undo.callback(StateLock(self._options.state_dir).close)
        left = Netfilter(instance.label, instance.queues, program_path=None)
        self._was_there = left.is_present()
        if self._was_there:
            self._undo.callback(self._open_early, left, instance.pins)

    async def _start_parts(self, identity: Identity, programs: BpfPrograms | None) -> None:
        self.parts = Assembly(
            identity,
            programs,
            self._undo,
            rules_file=self._rules_file,
            permissions=self._permissions,
            error_log=self._error_log,
        )
        if (
            programs and self._options.scope.has_successor
        ):  # done while the queues are open, so that packets wait meanwhile
            self._undo.callback(keep_arguments, programs, self._arguments_file)
        await self.parts.start()
        # Until now entry.py has it ignored.
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.parts.reloader.reload_rules)

    def _enforce(self, netfilter: Netfilter) -> None:
        self._add_rules(netfilter)
        if self._options.scope.programs_outlive_it:
            self._undo.callback(self._end_waiting)
        self._guard(netfilter)

    def _watch_machine(self, *, is_bpf: bool) -> None:
        if self._options.scope.is_service:
            self._watch_interpreter()
            self._tell_of_hidden(is_bpf=is_bpf)
        self._tell_of_name_services()

    def _settle(self, identity: Identity, notes: PacketSocketNotes | None) -> None:
        gc.freeze()  # what is loaded by now stays, and each collection that walked over it would hold up verdicts
        give_back_memory()  # mostly of the kernel's types (BTF), which libbpf read to load the programs
        self._say_ready(identity)
        if notes:
            self.parts.driver.failures.attempt(notes.start)  # the log says already that we are ready
        self._is_ready = True
        if self._notice:
            self._notice.say_ready()

    def _prepare_rules_file(self) -> None:
        path = self._rules_file.path
        if not self._options.scope.makes_rules_file:
            self._rules_file.hold_starter()
        elif self._rules_file.ensure_exists():
            _log.warning("%s was not there: made with a starter set of rules", path)
        elif is_open_to_others(path):
            mend = f"chown root: {quote(str(path))} && chmod 600 {quote(str(path))}"
            _log.warning("others than root can change %s, and let pass what they like (hint: %s)", path, mend)
        else:
            self._close_to_readers(path)

    def _close_to_readers(self, path: Path) -> None:
        """Builds before this one made the file for all to read."""
        try:
            if close_to_readers(path):
                _log.warning("others could read %s, and secrets among the arguments in it: now only root can", path)
        except OSError as error:
            problem = error.strerror or error
            _log.warning("others can read %s: %s (hint: chmod 600 %s)", path, problem, quote(str(path)))

    def _identify(self, instance: Instance, cgroup: Path, degraded_because: str) -> Identity:
        return Identity(
            options=self._options,
            instance=instance,
            pid=os.getpid(),
            netns=read_netns_inode(),
            cgroup=str(cgroup),
            degraded_because=degraded_because,
            started_s=read_instant().boot_s,
        )

    def _choose_cgroup(self, instance: Instance) -> Path:
        if not self._options.scope.makes_cgroup:
            return self._options.cgroup or find_cgroup_mount()
        cgroup = find_cgroup_mount() / instance.label.lower()
        self._undo.callback(remove_cgroup, cgroup)
        return make_cgroup(cgroup.name)

    def _open_early(self, left: Netfilter, pins: Path) -> None:
        """If we are stopped while we start, remove the netfilter rules and pins that were there before: a stop is no
        failure, and opens the machine."""
        if self._stop.has_come and not self._is_ready and not self._keeps:
            left.remove()
            remove_all_pins(pins)

    @cached_property
    def _keeps(self) -> bool:
        """Whether enforcement stays after our end.

        Cached, since each step of the end asks: another signal in the middle must not change the answer. A daemon that
        ends without a signal has failed, and leaves enforcement in place as a killed one does.
        """
        is_followed = self._stop.is_hand_over and self._options.scope.has_successor
        has_failed = self._is_ready and not self._stop.has_come
        return self._options.on_exit is OnExit.KEEP or is_followed or has_failed

    @property
    def _stays(self) -> bool:
        """Whether enforcement is to stay, or, if the start failed, was there before."""
        return self._keeps if self._is_ready else self._was_there

    def _remove_unless_kept(self, remove: Callable[[], None]) -> None:
        """Undo a step, unless enforcement stays."""
        if not self._stays:
            remove()

    def _end_waiting(self) -> None:
        """Refuse the packets that are held. If they were dropped, they would be sent again, and pass without rules.

        Where the rules stay they are dropped, as the queue is closed, and that is told: UDP does not send them again.
        """
        driver = self.parts.driver
        held = driver.engine.prompts.packet_quota.used
        if not self._stays:
            driver.feed(FirewallEnds())
        elif held:
            driver.feed(DataLost(DROPPED, held))

    def _take_programs_away(self, programs: BpfPrograms) -> None:
        """After a failed start, remove only what this start made: an earlier daemon's programs, for another --cgroup
        perhaps, may be beside them."""
        if self._is_ready:
            self._remove_unless_kept(programs.remove)
        else:
            programs.withdraw()

    # The kernel's side

    def _load_programs(self, instance: Instance, cgroup: Path) -> tuple[BpfPrograms | None, str]:
        """Load the BPF programs. Returns them, or None and the reason for the degraded mode."""
        if not self._options.is_bpf_wanted:
            return None, "switched off"
        try:
            check_match("bpf")
            self._undo.callback(self._remove_unless_kept, unmount_bpffs)
            mount_bpffs()
            programs = BpfPrograms.load(instance.pins, cgroup, read_netns_cookie(), self._options.scope)
        except SnitchError as error:
            because = "; ".join(dict.fromkeys((str(error), *find_missing())))
            _log.warning("DEGRADED: enforcing without BPF, attribution is weaker: %s", because)
            return None, because
        self._undo.callback(programs.close)
        self._undo.callback(self._take_programs_away, programs)
        with SocketDiag() as sockets:
            if self._options.scope.finds_sockets:
                seed(programs, sockets, EarlierArguments.of(self._arguments_file).complete)
            else:
                seed(programs, None)
        programs.take_conversations_over()
        return programs, ""

    def _tell_of_hidden(self, *, is_bpf: bool) -> None:
        """Warn when /proc hides processes from us: that is where we look for who holds a socket that was passed on."""
        hidden = "; ".join(find_hidden(is_bpf=is_bpf))
        if hidden:
            unknown = "inbound connections, and programs that ran already, may be judged as unknown"
            _log.warning("%s: %s", unknown, hidden)

    def _tell_of_name_services(self) -> None:
        """Tell of problems with name services on standard error. They are in the log too, but nobody reads that of one
        command's firewall, and others may send it elsewhere."""
        if not os.path.sameopenfile(1, 2):
            for told in self.parts.fact_source.name_services:
                _log.warning("%s", told)

    def _add_rules(self, netfilter: Netfilter) -> None:
        self._undo.callback(self._remove_unless_kept, partial(self._remove_rules, netfilter))
        netfilter.add()
        if netfilter.lacks_security():
            _log.warning("no security table in this kernel: a netfilter rule of others may accept what is denied")

    def _remove_rules(self, netfilter: Netfilter) -> None:
        try:
            netfilter.remove()
        except SnitchError as error:
            # If they are one command's, `tinysnitch run` removes them.
            later = "; `tinysnitch-iptables-remove` takes them away" if self._options.scope.has_successor else ""
            raise SnitchError(f"the netfilter rules stay: {error}", error.hint + later) from None

    def _guard(self, netfilter: Netfilter) -> None:
        guard = self.parts.counters.guard = NetfilterGuard(netfilter, self._tell_of_netfilter)
        self._undo.push_async_callback(guard.stop)
        guard.start()

    def _tell_of_netfilter(self, what: str, hint: str) -> None:
        self.parts.driver.feed(DataLost(what, 1))
        self.parts.clients.push_notice(what, hint)

    def _watch_interpreter(self) -> None:
        watch = self.parts.counters.interpreter = InterpreterWatch(sys.executable, self._tell_of_interpreter)
        self._undo.callback(watch.stop)
        watch.start()

    def _tell_of_interpreter(self) -> None:
        _log.warning("%s (hint: %s)", GONE, HINT)
        self.parts.clients.push_notice(GONE, HINT)

    def _watch_packet_sockets(self, programs: BpfPrograms | None) -> PacketSocketNotes:
        notes = PacketSocketNotes(PacketSocketWatch(programs), self.parts.driver.report)
        self._undo.callback(notes.stop)
        self.parts.driver.look_when_awake(notes.look)
        return notes

    # For people

    async def _start_prompt(self) -> None:
        if self._prompt:
            self._undo.push_async_callback(self._prompt.stop)
            await self._prompt.start(self._limits)

    def _say_ready(self, identity: Identity) -> None:
        now = read_instant()
        line = ReadyLine(
            time=format_time(now.wall_s),
            pid=identity.pid,
            mode=identity.mode,
            netns=identity.netns,
            rules=len(self.parts.driver.engine.rules),
            socket=str(self._options.socket),
            cgroup=identity.cgroup,
        )
        remarks = (OBSERVING,) if self._options.is_learning else ()
        self.parts.recorder.begin(line, *remarks)
        self.parts.recorder.flush(now)
