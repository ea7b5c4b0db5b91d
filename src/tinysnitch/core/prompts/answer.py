"""From a choice to the rule that it makes: the line that a prompt shows is the line that is kept."""

import math

from msgspec.structs import replace

from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.domain import find_registrable_domain
from tinysnitch.core.model.flow import format_address
from tinysnitch.core.model.process import (
    CONTAINER,
    FLATPAK,
    MEMORY_FILE,
    Attribution,
    AttributionSource,
    Process,
    ProcessKey,
)
from tinysnitch.core.programs.cgroup_owner import find_snap_owner, is_id
from tinysnitch.core.prompts.choice import Choice, Lifetime, RemoteScope
from tinysnitch.core.rules.port_column import ANY_PORT
from tinysnitch.core.rules.protocol_column import general_protocol
from tinysnitch.core.rules.rule import ANY_REMOTE, LAN, Program, ProgramKind, Remote, RemoteKind, Rule
from tinysnitch.core.rules.secret_args import has_secret

_PROGRAM_KINDS = {
    AttributionSource.BPF: ProgramKind.PATH,
    AttributionSource.PROCFS: ProgramKind.PATH,
    AttributionSource.KERNEL: ProgramKind.KERNEL,
    AttributionSource.UNKNOWN: ProgramKind.UNKNOWN,
}
_BOXES = (FLATPAK, "snap:", CONTAINER)
_NOT_AT_ITS_PATH = "not the file at its path (start it anew, or edit: parent=)"  # updated; in a sandbox


def rule_for_choice(connection: Connection, choice: Choice, wall_s: float) -> Rule:
    """The rule that the choice stands for. With lifetime `once` it is only shown, never kept."""
    flow, attribution = connection.flow, connection.attribution
    process = attribution.process
    program = _program_of(connection, choice)
    # Any user can run a program under a flatpak's name (THREATS.md), or at such a path: so the rule names the user too.
    is_anybodys = program.text.startswith(FLATPAK) or program.kind is ProgramKind.GLOB
    is_for_user = choice.is_for_user or is_anybodys
    return Rule(
        verdict=choice.verdict,
        remote=_remote_of(connection, choice.remote),
        ports=ANY_PORT if choice.any_port or not flow.port else ((flow.port, flow.port),),
        protocol=general_protocol(flow.protocol),
        direction=flow.direction,
        program=program,
        args=args_of_rule(connection, choice),
        user=str(process.uid) if process and is_for_user else connection.asking.user,
        parent=parent_of(connection, choice),
        iface=connection.asking.iface,
        until_s=_end_of(choice.lifetime, attribution, wall_s),
        exec_id=process.exec_id if process and choice.lifetime is Lifetime.QUIT else None,
    )


def _remote_of(connection: Connection, scope: RemoteScope) -> Remote:
    """The domain scope means the name if that has no registrable domain, and the address if there is no name."""
    if scope is RemoteScope.ANY:
        return ANY_REMOTE
    if is_by_link(connection, scope):
        return LAN
    if not connection.name or is_by_address(connection, scope):
        return Remote(RemoteKind.NETWORK, format_address(connection.flow.remote))
    domain = find_registrable_domain(connection.name) if scope is RemoteScope.DOMAIN else None
    return Remote(RemoteKind.DOMAIN, domain) if domain else Remote(RemoteKind.NAME, connection.name)


def is_by_address(connection: Connection, scope: RemoteScope) -> bool:
    """Whether the rule names the address. A chosen domain is used as it is, even where the rules then ask again."""
    if not connection.name:
        return scope is not RemoteScope.ANY and not is_by_link(connection, scope)
    return scope is RemoteScope.NAME and connection.asking.is_by_address


def is_by_link(connection: Connection, scope: RemoteScope) -> bool:
    """Whether the rule is for `lan`: the domain scope of talk on the link, and of what comes in from the lan."""
    return scope is RemoteScope.DOMAIN and (connection.is_lan_traffic or connection.is_from_lan)


def args_of_rule(connection: Connection, choice: Choice) -> tuple[str, ...] | None:
    """The arguments that the rule names; None: any. A rule that ends with its process is for this one start alone, so
    that it need not name them, and does not if a secret is among them."""
    process = connection.attribution.process
    if process is None or _is_for_any_args(process, choice):
        return None
    return None if choice.lifetime is Lifetime.QUIT and has_secret(process.args) else process.args


def holds_secret(connection: Connection, choice: Choice) -> bool:
    """Whether the rule holds what looks like a secret."""
    return has_secret(args_of_rule(connection, choice) or ())


def leaves_secret_out(connection: Connection, choice: Choice) -> bool:
    """Whether the rule is for these arguments, but does not name them."""
    process = connection.attribution.process
    is_for_any = process is None or _is_for_any_args(process, choice)
    return not is_for_any and args_of_rule(connection, choice) is None


def bounded(connection: Connection, choice: Choice) -> Choice:
    """The choice; or until the process ends, where its rule would hold a secret, or cannot name the arguments of an
    interpreter since they were cut: with any arguments it would be for everything that the interpreter runs."""
    process = connection.attribution.process
    is_cut = process is not None and not process.are_args_complete and not choice.any_args
    is_for_all_it_runs = is_cut and not connection.traits.is_its_file
    is_too_much = is_for_all_it_runs or holds_secret(connection, choice)
    return replace(choice, lifetime=Lifetime.QUIT) if is_too_much else choice


def _is_for_any_args(process: Process, choice: Choice) -> bool:
    return choice.any_args or not process.are_args_complete


def parent_of(connection: Connection, choice: Choice) -> str | None:
    """The ancestor that the rule names: that of the rule that asks, or the starter of a worker with any args."""
    process = connection.attribution.process
    if connection.asking.parent or process is None:
        return connection.asking.parent
    return connection.traits.starter if _is_for_any_args(process, choice) else None


def _program_of(connection: Connection, choice: Choice) -> Program:
    attribution = connection.attribution
    box = _box_of(connection)
    if box is not None:
        return Program(ProgramKind.OWNER, box)
    path = attribution.process.program if attribution.process else ""
    # Rules that users make can have no patterns.
    is_exact = connection.asking.is_by_path or choice.is_for_user
    pattern = None if is_exact else connection.traits.lasting_path
    return Program(ProgramKind.GLOB, pattern) if pattern else Program(_PROGRAM_KINDS[attribution.source], path)


def _box_of(connection: Connection) -> str | None:
    """The flatpak, snap or container whose own file runs, to be named instead of the path; None where there is none.

    A path would mean the host's file; and a snap's path holds its revision, so a rule for it would end with the next
    revision. Units are not named: they run the host's files, and a file that was replaced (by an upgrade, say) is no
    reason for a rule about everything that its unit runs.
    """
    process = connection.attribution.process
    if process is None or process.executable.startswith(MEMORY_FILE):
        return None
    if process.is_host_file:
        snap = find_snap_owner(process.executable)
        return snap if snap in process.owners and not connection.asking.is_by_path else None
    return next((owner for owner in process.owners if owner.startswith(_BOXES)), None)


def ends_with_container(connection: Connection) -> bool:
    """Whether the rule names a container by its id: the next container of the same image has another one."""
    box = _box_of(connection)
    return box is not None and box.startswith(CONTAINER) and is_id(box.removeprefix(CONTAINER))


def _end_of(lifetime: Lifetime, attribution: Attribution, wall_s: float) -> int | None:
    """Wall-clock seconds when the rule ends, whole ones as its line has them; None: time does not end it."""
    if lifetime is Lifetime.QUIT and attribution.process is None:
        lifetime = Lifetime.NINE_MINUTES  # there is no process that could quit: the default holds
    return None if lifetime.duration_s is None else math.ceil(wall_s + lifetime.duration_s)


def ends_with(connection: Connection, rule: Rule) -> ProcessKey | None:
    """The process that asked, if the rule ends with it."""
    process = connection.attribution.process
    return process.key if process and rule.exec_id is not None else None


def refusal_to_remember(connection: Connection) -> str | None:
    """Why no rule can name this connection's program, so that an answer holds only once; None where a rule can."""
    process = connection.attribution.process
    if process is None or _box_of(connection) is not None:
        return None
    if not process.program.startswith("/"):
        return "the program has no path"
    if not process.is_host_file and process.executable.startswith(MEMORY_FILE):
        return "the program has no file"
    return None if process.is_host_file else _NOT_AT_ITS_PATH


def can_be_remembered(connection: Connection) -> bool:
    return refusal_to_remember(connection) is None


def is_rule_kept(connection: Connection, choice: Choice) -> bool:
    """Whether the answer becomes a rule, permanent or temporary; if not, it holds once."""
    return choice.lifetime is not Lifetime.ONCE and refusal_to_remember(connection) is None
