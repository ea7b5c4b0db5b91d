"""tinysnitch-trace: prints each exec, connect, send and bind with its process. A check that BPF works here."""

import asyncio
import os
import signal
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import click

from tinysnitch import __version__
from tinysnitch.commandline.command_runner import run_command
from tinysnitch.commandline.event_loop import run_in_loop
from tinysnitch.commandline.standard_streams import error_of_output, open_standard_streams
from tinysnitch.core.model.errors import NotPermitted, SnitchError
from tinysnitch.core.model.flow import format_address, format_protocol
from tinysnitch.core.model.scope import Scope
from tinysnitch.core.rules.secret_args import shorten_secrets
from tinysnitch.core.rules.words import quote_word
from tinysnitch.daemon.logs.log_output import LogOutput
from tinysnitch.daemon.options import CgroupPlace
from tinysnitch.kernel.attribution.bootstrap import bootstrap
from tinysnitch.kernel.bpf.layout import TRACE_EXEC, TRACE_KIND_NAMES, TRACE_TRAFFIC, TraceEvent
from tinysnitch.kernel.bpf.pins import MOUNT_POINT, mount_bpffs, remove_folder, unmount_bpffs
from tinysnitch.kernel.bpf.probe import find_missing, is_permitted
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.netlink.sock_diag import SocketDiag
from tinysnitch.kernel.proc.cgroups import find_cgroup_mount
from tinysnitch.kernel.proc.netns import read_netns_cookie
from tinysnitch.kernel.system.clock import read_instant
from tinysnitch.protocol.log_lines import format_time
from tinysnitch.protocol.log_text import format_endpoint

_KINDS = dict(enumerate((name.removeprefix("TRACE_").lower() for name in TRACE_KIND_NAMES), TRACE_EXEC))


@click.command(
    epilog="""\b
Examples:
  tinysnitch-trace               until Ctrl-C
  tinysnitch-trace | grep curl"""
)
@click.version_option(__version__, prog_name="tinysnitch-trace", message="%(prog)s %(version)s")
@click.option("--cgroup", type=CgroupPlace(), help="Trace this cgroup's sockets only.  [default: the root cgroup]")
def trace(cgroup: Path | None) -> None:
    """Print who connects, sends and binds in this network namespace, and who executes what anywhere on this machine.

    Loads the BPF programs of tinysnitch for itself, judges nothing, and removes them at its end.
    """
    if os.geteuid() != 0:
        raise NotPermitted("tracing needs root", "try it with sudo")
    run_in_loop(_trace(cgroup or find_cgroup_mount()))


async def _trace(cgroup: Path) -> None:
    """Trace until a signal comes. Pins outlive the process, so no signal may kill us before they are removed."""
    stop = _stop_by_signals()
    with ExitStack() as undo:
        programs = _load(undo, cgroup)
        await _print_traces(programs, stop)


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
    except SnitchError as error:
        kind = SnitchError if is_permitted() else NotPermitted
        raise kind(f"BPF does not work here: {error}", "; ".join(find_missing()) or error.hint) from None
    undo.callback(programs.remove)
    with SocketDiag() as sockets:
        bootstrap(programs, sockets)
    return programs


async def _print_traces(programs: BpfPrograms, stop: asyncio.Event) -> None:
    loop, output = asyncio.get_running_loop(), LogOutput(sys.stdout.fileno())
    # The kernel's boot-time clock and the wall clock differ by this much now.
    now = read_instant()
    boot_wall_s = now.wall_s - now.boot_s
    loop.add_reader(programs.traces_fd, partial(_consume, programs, output, boot_wall_s, stop))
    programs.settings.set_tracing(True)
    await stop.wait()
    programs.settings.set_tracing(False)
    loop.remove_reader(programs.traces_fd)
    output.close()
    if output.failure and not isinstance(output.failure, BrokenPipeError):  # `| head` has what it wanted
        raise error_of_output(output.failure.strerror)
    lost = programs.read_statistics()["lost_traces"] + (0 if output.failure else output.lost)
    if lost:
        raise SnitchError(f"{lost} lines were lost", "they came faster than they could be written")


def _consume(programs: BpfPrograms, output: LogOutput, boot_wall_s: float, stop: asyncio.Event) -> None:
    """Write what was traced. When that fails, on a full disk say, we end, as any other command would."""
    for event in programs.read_traces():
        if event.kind == TRACE_TRAFFIC:
            continue
        output.write(describe(programs, event, boot_wall_s).encode())
    output.flush()
    if output.failure:
        stop.set()


def describe(programs: BpfPrograms, event: TraceEvent, boot_wall_s: float) -> str:
    """`TIME connect tcp 192.0.2.1:80 426319 1000 /usr/bin/curl -s`: what, where, pid, uid, program, arguments."""
    image = programs.find_image(event.owner.exec_id)
    words = (image.executable, *shorten_secrets(image.args[1:])) if image else ("unknown",)
    endpoint = format_endpoint(format_address(event.address), event.port)
    place = "" if event.kind == TRACE_EXEC else f" {format_protocol(event.protocol)} {endpoint}"
    time = format_time(boot_wall_s + event.time_ns / 1e9)
    who = " ".join(map(quote_word, words))
    return f"{time} {_KINDS[event.kind]}{place} {event.owner.pid} {event.owner.uid} {who}"


def main() -> None:
    open_standard_streams()
    sys.exit(run_command(trace, "tinysnitch-trace"))
