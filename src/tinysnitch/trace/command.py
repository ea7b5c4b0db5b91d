"""The command: loads the programs, prints what they tell until a signal comes, and removes them."""

import asyncio
import os
import signal
import sys
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import click

from tinysnitch import __version__
from tinysnitch.commandline.command_runner import run_command
from tinysnitch.commandline.event_loop import run_in_loop
from tinysnitch.commandline.standard_streams import open_standard_streams
from tinysnitch.core.model.errors import NotPermitted, SnitchError
from tinysnitch.core.model.scope import Scope
from tinysnitch.daemon.options import CgroupPlace
from tinysnitch.kernel.attribution.bootstrap import bootstrap
from tinysnitch.kernel.bpf.libbpf import ObjectFile
from tinysnitch.kernel.bpf.objects import ACCEPTED_PROGRAM, LIFE_PROGRAMS, TRACE_OBJECT, object_path
from tinysnitch.kernel.bpf.pins import MOUNT_POINT, mount_bpffs, opened_cgroup, remove_folder, unmount_bpffs
from tinysnitch.kernel.bpf.probe import find_missing, is_permitted
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.netlink.sock_diag import SocketDiag
from tinysnitch.kernel.proc.cgroups import find_cgroup_mount
from tinysnitch.kernel.proc.netns import read_netns_cookie
from tinysnitch.kernel.system.clock import read_instant
from tinysnitch.trace.printer import TracePrinter
from tinysnitch.trace.reader import TraceReader

LOSS_S = 1.0  # between two looks whether lines were lost


@click.command(
    epilog="""\b
Examples:
  tinysnitch-trace               until Ctrl-C
  tinysnitch-trace | grep curl
  tinysnitch-trace --json"""
)
@click.version_option(__version__, prog_name="tinysnitch-trace", message="%(prog)s %(version)s")
@click.option("--cgroup", type=CgroupPlace(), help="Trace this cgroup's sockets only.  [default: the root cgroup]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def trace(cgroup: Path | None, as_json: bool) -> None:
    """Print who connects, accepts, sends and binds in this network namespace, and who forks, executes what and exits
    anywhere on this machine.

    Loads the BPF programs of tinysnitch for itself, judges nothing, and removes them at its end.
    """
    if os.geteuid() != 0:
        raise NotPermitted("tracing needs root", "try it with sudo")
    run_in_loop(_trace(cgroup or find_cgroup_mount(), as_json=as_json))


async def _trace(cgroup: Path, *, as_json: bool) -> None:
    """Trace until a signal comes. Pins outlive the process, so no signal may kill us before they are removed."""
    stop = _stop_by_signals()
    with ExitStack() as undo:
        programs = _load(undo, cgroup)
        await _print_traces(programs, TracePrinter(sys.stdout.fileno(), as_json=as_json), stop)


def _stop_by_signals() -> asyncio.Event:
    """An event that is set by each signal that would end us; SIGHUP comes when the terminal ends. Signals that are
    ignored (nohup) stay so, except SIGPIPE, which Python itself ignores."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGPIPE):
        if number is signal.SIGPIPE or signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stop.set)
    return stop


def _load(undo: ExitStack, cgroup: Path) -> BpfPrograms:
    pins = MOUNT_POINT / f"tinysnitch-trace-{os.getpid()}"
    try:
        undo.callback(unmount_bpffs)
        mount_bpffs()
        undo.callback(remove_folder, pins)  # its content goes before: with the programs, or when loading fails
        programs = BpfPrograms.load(pins, cgroup, read_netns_cookie(), Scope.MACHINE)
        undo.callback(programs.remove)
        own = undo.enter_context(closing(ObjectFile(object_path(TRACE_OBJECT), programs.maps_dir)))
    except SnitchError as error:
        kind = SnitchError if is_permitted() else NotPermitted
        raise kind(f"BPF does not work here: {error}", "; ".join(find_missing()) or error.hint) from None
    with SocketDiag() as sockets:
        bootstrap(programs, sockets)
    programs.settings.set_tracing(True)  # first: else what was told to fork might go on without its exec
    _attach(undo, own, cgroup)
    return programs


def _attach(undo: ExitStack, own: ObjectFile, cgroup: Path) -> None:
    """What tells of fork, exit and accept comes behind the programs that note who it is."""
    for name in LIFE_PROGRAMS:
        undo.enter_context(closing(own.attach(name)))
    with opened_cgroup(cgroup) as cgroup_fd:
        undo.enter_context(closing(own.attach_cgroup(ACCEPTED_PROGRAM, cgroup_fd)))


async def _print_traces(programs: BpfPrograms, printer: TracePrinter, stop: asyncio.Event) -> None:
    now = read_instant()
    reader = TraceReader(programs, now.wall_s - now.boot_s)  # the clocks differ by this much now

    def consume() -> None:
        """Print what was traced. When that fails, on a full disk say, we end, as any other command would."""
        printer.print(reader.read())
        if printer.has_failed:
            stop.set()

    loop = asyncio.get_running_loop()
    loop.add_reader(programs.traces_fd, consume)
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOSS_S)
        consume()  # what was not lost came before
        printer.tell_lost(_count_unread(programs), read_instant().wall_s)
    programs.settings.set_tracing(False)
    loop.remove_reader(programs.traces_fd)
    printer.close(_count_unread(programs))


def _count_unread(programs: BpfPrograms) -> int:
    return programs.read_statistics()["lost_traces"]


def main() -> None:
    open_standard_streams()
    sys.exit(run_command(trace, "tinysnitch-trace"))
