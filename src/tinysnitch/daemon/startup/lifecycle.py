"""From nothing to a firewall and back: each step registers its undo before it is done, and returns what it made.

The order: claim the namespace and the state folder, load the BPF programs and tell them what runs already, open the
queues and the control socket, and add the netfilter rules last (kernel_side.py, assembly.py). The end undoes this from
the last step to the first; what stays in the kernel then is for kept_enforcement.py.
"""

import asyncio
import codecs
import concurrent.futures.thread  # noqa: F401  of asyncio.to_thread()
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from shlex import quote
from typing import BinaryIO

import publicsuffixlist

from tinysnitch.core.engine.events import DataLost, FirewallEnds
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.daemon.control.permissions import Permissions
from tinysnitch.daemon.instance import Identity, Instance, name_instance
from tinysnitch.daemon.logs.error_log import ErrorLog
from tinysnitch.daemon.loop.driver import Driver
from tinysnitch.daemon.loop.file_guard import GONE, HINT, InterpreterWatch
from tinysnitch.daemon.loop.netfilter_guard import NetfilterGuard
from tinysnitch.daemon.loop.packet_socket_notes import PacketSocketNotes
from tinysnitch.daemon.loop.settings_watch import SettingsWatch
from tinysnitch.daemon.options import Options, SettingsRead
from tinysnitch.daemon.scheduling.bounded_writer import BoundedWriter
from tinysnitch.daemon.startup.assembly import Assembly, assemble
from tinysnitch.daemon.startup.handover import keep_arguments
from tinysnitch.daemon.startup.kept_enforcement import Ending
from tinysnitch.daemon.startup.kernel_side import (
    add_rules,
    arguments_file,
    choose_cgroup,
    claim_machine,
    load_programs,
)
from tinysnitch.daemon.startup.prompt_process import find_window, how_to_be_asked
from tinysnitch.daemon.startup.service_notice import ServiceNotice
from tinysnitch.daemon.startup.stop_signals import Stop
from tinysnitch.kernel.bpf.packet_socket_watch import PacketSocketWatch
from tinysnitch.kernel.bpf.pins import remove_all_pins
from tinysnitch.kernel.bpf.probe import find_hidden
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.netfilter.firewall import Netfilter
from tinysnitch.kernel.netlink.sock_diag import check_lists
from tinysnitch.kernel.proc.cgroups import path_in_hierarchy
from tinysnitch.kernel.proc.netns import read_netns_cookie, read_netns_inode
from tinysnitch.kernel.system.clock import check_boot_clock, read_instant
from tinysnitch.kernel.system.offload import Offload
from tinysnitch.kernel.system.resources import give_back_memory, raise_limit
from tinysnitch.protocol.log_lines import ReadyLine, format_time
from tinysnitch.protocol.log_text import remarks_on_mode
from tinysnitch.store.rule_groups import RuleGroups
from tinysnitch.store.rules_file import RulesFile
from tinysnitch.store.whole_file import close_folder_to_readers, close_to_readers, is_open_to_others

DROPPED = "held packets, dropped at the end while questions about them were open"

_CODECS = ("idna", "punycode", "unicode_escape")
_kept_open: list[BinaryIO] = []
_log = logging.getLogger(__name__)


async def run_daemon(settings: SettingsRead, read_settings: Callable[[], SettingsRead]) -> None:
    """Run until a signal stops it. Raises SnitchError when it cannot start. `read_settings` reads their file again."""
    check_boot_clock()
    check_lists()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # asyncio.run()'s handler would wait for a name service that hangs
    stop = Stop()
    async with AsyncExitStack() as undo:
        undo.callback(stop.block_further)
        daemon = SetUp(settings, read_settings, undo, undo.enter_context(ErrorLog()), stop)
        stop.listen()  # until now there was nothing to undo
        if await stop.is_later_than(daemon.start()):
            await stop.wait()


class SetUp:
    """Holds what needs no undo; the steps of `start` hand on what they make."""

    def __init__(
        self,
        settings: SettingsRead,
        read_settings: Callable[[], SettingsRead],
        undo: AsyncExitStack,
        error_log: ErrorLog,
        stop: Stop,
    ) -> None:
        self._settings = settings
        self._read_settings = read_settings
        self._options = options = settings.options
        self._undo = undo
        self._error_log = error_log
        self._stop = stop
        self._limits = raise_limit()
        self._prompt = find_window(options, os.environ)
        writer = BoundedWriter()
        self._rules_file = RulesFile(options.rules, writer.do)
        self._groups = RuleGroups(options.groups, options.rules, writer.do, Offload().look)
        self.permissions = Permissions(options.users, options.admins)
        if self._prompt:
            self.permissions.invite(self._prompt.user.pw_uid)
        # A service may use `tinysnitch run`; then it is the service itself that tells systemd when it is ready.
        self._notice = ServiceNotice(os.environ) if options.scope.is_service else None
        if self._notice:
            undo.callback(self._notice.close)

    async def start(self) -> None:
        options, undo = self._options, self._undo
        instance = name_instance(read_netns_cookie(), options.scope)
        ending = claim_machine(options, instance, self._stop, undo)
        cgroup = choose_cgroup(options, instance, undo)
        prepare_rules_file(self._rules_file, options)
        prepare_groups(self._groups, options)
        close_state_folder(options.state_dir)
        programs, problem = load_programs(options, instance, cgroup, ending, undo)
        import_the_rest()
        own_cgroup = path_in_hierarchy(cgroup) if options.scope.makes_cgroup else None
        netfilter = Netfilter(instance.label, instance.queues, programs.program_path if programs else None, own_cgroup)
        identity = _identify(options, instance, cgroup, problem)
        parts = await self._start_parts(identity, programs)
        notes = self._watch_packet_sockets(programs, parts.driver) if options.scope.is_service else None
        await self._start_prompt()  # may fail, so before the steps that change what an earlier daemon left
        self._stop.end_start()
        self._enforce(netfilter, parts, ending)
        self._watch_machine(parts, is_bpf=programs is not None)
        if programs:
            programs.remove_stale()
        else:  # an earlier daemon's cached denials would go on inside connect()
            remove_all_pins(instance.pins)
        gc.freeze()  # what is loaded by now stays, and each collection that walked over it would hold up verdicts
        give_back_memory()  # mostly of the kernel's types (BTF), which libbpf read to load the programs
        _say_ready(identity, parts)
        parts.settings.start()
        self._say_who_is_asked()
        if notes:
            parts.driver.failures.attempt(notes.start)  # the log says already that we are ready
        ending.is_ready = True
        if self._notice:
            self._notice.say_ready()

    async def _start_parts(self, identity: Identity, programs: BpfPrograms | None) -> Assembly:
        parts = assemble(
            identity,
            programs,
            self._undo,
            rules_file=self._rules_file,
            groups=self._groups,
            permissions=self.permissions,
            error_log=self._error_log,
            watch_settings=partial(SettingsWatch, self._settings, self._read_settings, self.permissions),
        )
        if programs and self._options.scope.has_successor:  # while the queues are open, so that packets wait meanwhile
            self._undo.callback(keep_arguments, programs, arguments_file(self._options))
        await parts.start(self._options, self._undo)
        # Until now entry.py has it ignored.
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, parts.reloader.reload_rules)
        return parts

    def _watch_packet_sockets(self, programs: BpfPrograms | None, driver: Driver) -> PacketSocketNotes:
        notes = PacketSocketNotes(PacketSocketWatch(programs), driver.report)
        self._undo.callback(notes.stop)
        driver.look_when_awake(notes.look)
        return notes

    async def _start_prompt(self) -> None:
        if self._prompt is None:
            return
        self._undo.push_async_callback(self._prompt.stop)
        try:
            await self._prompt.start(self._limits)
        except SnitchError as error:
            if self._options.has_prompt:
                raise
            _log.warning("no window is shown: %s (hint: %s)", error, error.hint)
            self._prompt = None

    def _say_who_is_asked(self) -> None:
        if self._prompt:
            _log.warning("questions are shown to %s in a window (--no-prompt leaves it out)", self._prompt.user.pw_name)
        elif self._options.asks_people:
            _log.warning("questions wait for a prompt: %s", how_to_be_asked(self._options))

    def _enforce(self, netfilter: Netfilter, parts: Assembly, ending: Ending) -> None:
        add_rules(netfilter, self._options, ending, self._undo)
        if self._options.scope.programs_outlive_it:
            self._undo.callback(_end_waiting, parts.driver, ending)
        guard = parts.counters.guard = NetfilterGuard(netfilter, parts.tell_of_netfilter)
        self._undo.push_async_callback(guard.stop)
        guard.start()

    def _watch_machine(self, parts: Assembly, *, is_bpf: bool) -> None:
        if self._options.scope.is_service:
            watch = parts.counters.interpreter = InterpreterWatch(sys.executable, lambda: _tell_of_interpreter(parts))
            self._undo.callback(watch.stop)
            watch.start()
            _tell_of_hidden(is_bpf=is_bpf)
        tell_of_problems(parts.fact_source.name_services)
        tell_of_problems(error.with_hint() for error in self._settings.errors)


def _identify(options: Options, instance: Instance, cgroup: Path, degraded_because: str) -> Identity:
    return Identity(
        options=options,
        instance=instance,
        pid=os.getpid(),
        netns=read_netns_inode(),
        cgroup=str(cgroup),
        degraded_because=degraded_because,
        started_s=read_instant().boot_s,
    )


def _end_waiting(driver: Driver, ending: Ending) -> None:
    """Refuse the packets that are held. If they were dropped, they would be sent again, and pass without rules.

    Where the rules stay they are dropped, as the queue is closed, and that is told: UDP does not send them again.
    """
    held = driver.engine.prompts.packet_quota.used
    if not ending.stays:
        driver.feed(FirewallEnds())
    elif held:
        driver.feed(DataLost(DROPPED, held))


# For people


def prepare_rules_file(file: RulesFile, options: Options) -> None:
    """Have a rules file that only root can change and read."""
    path = file.path
    if not options.scope.makes_rules_file:
        file.hold_starter()
    elif file.ensure_exists():
        _log.warning("%s was not there: made with a starter set of rules", path)
    else:
        _guard(path)


def prepare_groups(groups: RuleGroups, options: Options) -> None:
    """The same for the groups that there are. Which they are is looked at again when the rules are read: a folder that
    cannot be read is told then."""
    with suppress(SnitchError):
        groups.look()
    if options.scope.makes_rules_file:
        for group in groups.list_all():
            _guard(group.path)


def _guard(path: Path) -> None:
    if is_open_to_others(path):
        mend = f"chown root: {quote(str(path))} && chmod 600 {quote(str(path))}"
        _log.warning("others than root can change %s, and let pass what they like (hint: %s)", path, mend)
    else:
        _close_to_readers(path)


def _close_to_readers(path: Path) -> None:
    """Builds before this one made the file for all to read."""
    with _told_if_open(path):
        if close_to_readers(path):
            _log.warning("others could read %s, and secrets among the arguments in it: now only root can", path)


def close_state_folder(folder: Path) -> None:
    """Have files in it that root alone can read. We make no others, but a copy that was put back may be open."""
    with _told_if_open(folder):
        if names := close_folder_to_readers(folder):
            told = ", ".join(map(quote, names))
            _log.warning(
                "others could read files in %s, and secrets among the arguments in them: now only root can: %s",
                folder,
                told,
            )


@contextmanager
def _told_if_open(path: Path) -> Iterator[None]:
    """Tell of a failure, which does not keep the firewall from starting."""
    try:
        yield
    except OSError as error:
        mend = f"chmod -R go= {quote(str(path))}"
        _log.warning("others may be able to read %s: %s (hint: %s)", path, error.strerror or error, mend)


def _tell_of_hidden(*, is_bpf: bool) -> None:
    """Warn when /proc hides processes from us: that is where we look for who holds a socket that was passed on."""
    hidden = "; ".join(find_hidden(is_bpf=is_bpf))
    if hidden:
        unknown = "inbound connections, and programs that ran already, may be judged as unknown"
        _log.warning("%s: %s", unknown, hidden)


def tell_of_problems(problems: Iterable[str]) -> None:
    """Tell of problems with name services and settings on standard error. They are in the log too, but nobody reads
    that of one command's firewall, and others may send it elsewhere."""
    if not os.path.sameopenfile(1, 2):
        for problem in problems:
            _log.warning("%s", problem)


def _tell_of_interpreter(parts: Assembly) -> None:
    _log.warning("%s (hint: %s)", GONE, HINT)
    parts.clients.push_notice(GONE, HINT)


def _say_ready(identity: Identity, parts: Assembly) -> None:
    now, options = read_instant(), identity.options
    line = ReadyLine(
        time=format_time(now.wall_s),
        pid=identity.pid,
        mode=identity.mode,
        netns=identity.netns,
        rules=len(parts.driver.engine.rules),
        socket=str(options.socket),
        cgroup=identity.cgroup,
    )
    parts.recorder.begin(line, *remarks_on_mode(parts.driver.engine.mode))
    parts.recorder.flush(now)


# For the loop


def import_the_rest() -> None:
    """Import what Python would import at its first use, in the loop: verdicts would wait then, for as long as somebody
    keeps a folder locked that it is in (kernel/system/offload.py).

    Also opens the list of public suffixes. That is read at its first use (core/model/domain.py): what is made of it
    takes 1.2 MB, and the reading 28 ms, once. While a file is open, its path is walked without a folder's lock
    (rcu-walk, Documentation/filesystems/path-lookup.rst)."""
    for name in _CODECS:
        codecs.lookup(name)
    _kept_open.append(open(publicsuffixlist.PSLFILE, "rb"))  # noqa: SIM115 - until the daemon ends
