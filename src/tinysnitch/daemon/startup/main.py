"""tinysnitchd: reads the command line, then runs in the foreground until SIGTERM or SIGINT."""

import os
import shutil
import sys
from pathlib import Path

import click
from click.core import ParameterSource

from tinysnitch import __version__
from tinysnitch.commandline.command_runner import run_command
from tinysnitch.commandline.notes import print_snitch_error
from tinysnitch.commandline.standard_streams import open_standard_streams
from tinysnitch.core.model.errors import Malformed, NotPermitted, SnitchError
from tinysnitch.core.model.flow import parse_address
from tinysnitch.core.model.scope import Scope
from tinysnitch.daemon.instance import name_run
from tinysnitch.daemon.options import CgroupPlace, LogFormat, OnExit, Options, Place
from tinysnitch.daemon.startup.settings_file import SettingsFile
from tinysnitch.kernel.bpf.pins import remove_all_pins, unmount_bpffs
from tinysnitch.kernel.netfilter.firewall import Netfilter
from tinysnitch.kernel.proc.cgroups import find_cgroup_mount, remove_cgroup
from tinysnitch.kernel.proc.netns import read_netns_cookie

DEFAULTS = Options()


class _Seconds(click.ParamType[float]):
    name = "seconds"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(str(value))
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds <= 86400:
            self.fail(f"{value!r} is not a number of seconds from 0 to 86400", param, ctx)
        return seconds


class _Whole(click.ParamType[int]):
    name = "number"

    def __init__(self, least: int, most: int) -> None:
        self._least = least
        self._most = most

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        if not (text.isascii() and text.isdigit() and len(text) < 10 and self._least <= int(text) <= self._most):
            self.fail(f"{value!r} is not a whole number from {self._least} to {self._most}", param, ctx)
        return int(text)


def _check_addresses(_ctx: click.Context, _param: click.Parameter, addresses: tuple[str, ...]) -> tuple[str, ...]:
    for address in addresses:
        try:
            parse_address(address)
        except Malformed as error:
            raise click.BadParameter(str(error)) from None
    return addresses


@click.command(
    epilog="""\b
Examples:
  tinysnitchd                          judge the whole network namespace
  tinysnitchd --log json --timeout 30
  tinysnitchd --learn                  record everything, ask nothing
  sudo -E tinysnitchd                  ask in a window on this desktop"""
)
@click.version_option(__version__, prog_name="tinysnitchd", message="%(prog)s %(version)s")
@click.option(
    "--config-dir",
    metavar="DIRECTORY",
    type=Place(file_okay=False),
    default=DEFAULTS.config_dir,
    show_default=True,
    help="Folder of the settings, tinysnitch.toml.",
)
@click.option(
    "--rules",
    type=Place(dir_okay=False),
    default=DEFAULTS.rules,
    show_default=True,
    help="Rules file.",
)
@click.option(
    "--lists",
    type=Place(file_okay=False),
    default=DEFAULTS.lists,
    show_default=True,
    help="Folder of the lists that rules name as @NAME.",
)
@click.option(
    "--state-dir",
    metavar="DIRECTORY",
    type=Place(),
    default=DEFAULTS.state_dir,
    show_default=True,
    help="Folder of the history and of temporary rules; each daemon has its own.",
)
@click.option("--socket", type=Place(), default=DEFAULTS.socket, show_default=True, help="Control socket.")
@click.option(
    "--cgroup",
    type=CgroupPlace(),
    help="Attach to this cgroup: programs outside it are judged as unknown.  [default: the root cgroup]",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=_Seconds(),
    default=f"{DEFAULTS.timeout_s:g}",
    show_default=True,
    help="Deny what nobody answers within so many seconds; 0 denies at once.",
)
@click.option(
    "--log",
    type=click.Choice([f.value for f in LogFormat]),
    default=DEFAULTS.log.value,
    show_default=True,
    help="Form of the log on standard output.",
)
@click.option(
    "--resolver",
    "resolvers",
    metavar="ADDRESS",
    multiple=True,
    callback=_check_addresses,
    help="Believe this DNS resolver too, besides those that this machine is set up with; repeat it for more.",
)
@click.option("--learn", "is_learning", is_flag=True, help="Observe: allow what no rule decides, and record it.")
@click.option(
    "--on-exit",
    type=click.Choice([o.value for o in OnExit]),
    default=DEFAULTS.on_exit.value,
    show_default=True,
    help="Take enforcement away at a clean end, or keep it.",
)
@click.option(
    "--prompt/--no-prompt",
    "has_prompt",
    default=None,
    help="Show questions in a window, to the user who called sudo, or do not.  [default: where there is a desktop]",
)
@click.option(
    "--user",
    "users",
    metavar="NAME",
    multiple=True,
    help="May answer for their own processes, as the group tinysnitch may: a user, uid or %GROUP; repeat it for more.",
)
@click.option(
    "--admin",
    "admins",
    metavar="NAME",
    multiple=True,
    help="May see and answer everything, as root may: a user, uid or %GROUP; repeat it for more.",
)
@click.option(
    "--history-days",
    type=_Whole(1, 3650),
    default=DEFAULTS.history_days,
    show_default=True,
    help="Keep the sums of `tinysnitch history` for so many days.",
)
@click.option(
    "--history-size",
    type=_Whole(16, 65536),
    default=DEFAULTS.history_size,
    show_default=True,
    help="Keep them within so many MiB: the oldest go first.",
)
@click.option("--scoped", "is_scoped", is_flag=True, hidden=True, help="Judge a cgroup of our own making only.")
@click.option("--run-folder", type=Place(), hidden=True, help="With --scoped: take this folder away at the end.")
@click.option("--remove-run", type=int, metavar="PID", hidden=True, help="Take away what a killed --scoped left.")
@click.option("--no-bpf", is_flag=True, hidden=True, help="Run in the degraded mode.")
@click.pass_context
def tinysnitchd(
    context: click.Context,
    /,
    *,
    is_scoped: bool,
    no_bpf: bool,
    run_folder: Path | None,
    remove_run: int | None,
    **flags: object,
) -> None:
    """Hold every connection that no rule covers until a person answers.

    Runs in the foreground for the network namespace it is started in. Adds its own netfilter rules and takes them away
    at a clean end.
    """
    if os.geteuid() != 0:
        raise NotPermitted("tinysnitchd must be root", "try it with sudo")
    if remove_run is not None:
        return remove_leftovers(remove_run)
    scope = Scope.COMMAND if is_scoped else Scope.MACHINE
    given = {name for name in flags if context.get_parameter_source(name) is not ParameterSource.DEFAULT}
    try:
        _run(SettingsFile(context.command, {**flags, "is_bpf_wanted": not no_bpf}, given, scope))
    finally:
        if run_folder is not None:  # `tinysnitch run` may have been killed, and then nobody else removes it
            shutil.rmtree(run_folder, ignore_errors=True)


def remove_leftovers(pid: int) -> None:
    """Remove what the daemon of a `tinysnitch run` leaves when it is killed: no later daemon would adopt it.

    The command's processes are ended first, so that none of them runs unjudged. Does nothing when nothing is left."""
    instance = name_run(read_netns_cookie(), pid)
    remove_cgroup(find_cgroup_mount() / instance.label.lower())
    Netfilter(instance.label, instance.queues, program_path=None).remove()
    remove_all_pins(instance.pins)
    unmount_bpffs()


def _run(settings_file: SettingsFile) -> None:
    from tinysnitch.commandline.event_loop import run_in_loop
    from tinysnitch.daemon.logs.error_log import log_to_standard_error
    from tinysnitch.daemon.startup.lifecycle import run_daemon

    log_to_standard_error()
    settings = settings_file.read()
    options = settings.options
    if not options.scope.accepts_wrong_rules:
        _check_rules(options)
    run_in_loop(run_daemon(settings, settings_file.read))


def _check_rules(options: Options) -> None:
    """Refuse rules with errors for one command: no earlier rules are in force, so it would be judged by none."""
    from tinysnitch.store.rule_groups import RuleGroups
    from tinysnitch.store.rules_file import RulesFile

    groups = RuleGroups(options.groups, options.rules)
    groups.look()
    files = [RulesFile(options.rules)] if options.rules.exists() else []
    for file in (*files, *groups.on.values()):
        errors = file.read().errors
        for error in errors:
            print_snitch_error(error)
        if errors:
            count = "one error" if len(errors) == 1 else f"{len(errors)} errors"
            hint = "mend the file first: the command would be judged by no rule at all"
            raise SnitchError(f"{file.path} has {count}", hint)


def main() -> None:
    open_standard_streams()
    sys.exit(run_command(tinysnitchd, "tinysnitchd"))
