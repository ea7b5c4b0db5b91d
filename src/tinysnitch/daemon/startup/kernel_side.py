"""The steps of the set-up that change the kernel: claim, cgroup, BPF programs, netfilter rules.

Each registers its undo before it is done, and returns what it made.
"""

import logging
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.scope import Scope
from tinysnitch.daemon.instance import Instance, claim
from tinysnitch.daemon.options import Options
from tinysnitch.daemon.startup.handover import EarlierArguments
from tinysnitch.daemon.startup.kept_enforcement import Ending
from tinysnitch.daemon.startup.stop_signals import Stop
from tinysnitch.kernel.attribution.bootstrap import bootstrap
from tinysnitch.kernel.bpf.pins import mount_bpffs, unmount_bpffs
from tinysnitch.kernel.bpf.probe import find_missing
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.netfilter.firewall import Netfilter
from tinysnitch.kernel.netfilter.iptables import check_match
from tinysnitch.kernel.netlink.sock_diag import SocketDiag
from tinysnitch.kernel.proc.cgroups import find_cgroup_mount, make_cgroup, remove_cgroup
from tinysnitch.kernel.proc.netns import read_netns_cookie
from tinysnitch.store.handover_files import KeptArguments
from tinysnitch.store.locks import StateLock

_log = logging.getLogger(__name__)


def claim_machine(options: Options, instance: Instance, stop: Stop, undo: AsyncExitStack) -> Ending:
    """Make sure that no other daemon judges here, and find what an earlier one left. Raises SnitchError."""
    undo.callback(claim(instance).close)
    undo.callback(StateLock(options.state_dir).close)
    left = Netfilter(instance.label, instance.queues, program_path=None)
    was_there = left.is_present()
    ending = Ending(options, stop, was_there=was_there)
    if was_there:
        undo.callback(ending.open_early, left, instance.pins)
    return ending


def choose_cgroup(options: Options, instance: Instance, undo: AsyncExitStack) -> Path:
    if not options.scope.makes_cgroup:
        return options.cgroup or find_cgroup_mount()
    cgroup = find_cgroup_mount() / instance.label.lower()
    undo.callback(remove_cgroup, cgroup)
    return make_cgroup(cgroup.name)


def load_programs(
    options: Options, instance: Instance, cgroup: Path, ending: Ending, undo: AsyncExitStack
) -> tuple[BpfPrograms | None, str]:
    """Load the BPF programs and tell them what runs already. Returns them, or None and the reason for the degraded
    mode."""
    if not options.is_bpf_wanted:
        return None, "switched off"
    try:
        check_match("bpf")
        undo.callback(ending.remove_unless_kept, unmount_bpffs)
        mount_bpffs()
        programs = BpfPrograms.load(instance.pins, cgroup, read_netns_cookie(), options.scope)
    except SnitchError as error:
        because = "; ".join(dict.fromkeys((str(error), *find_missing())))
        _log.warning("DEGRADED: enforcing without BPF, attribution is weaker: %s", because)
        return None, because
    undo.callback(programs.close)
    undo.callback(ending.take_programs_away, programs)
    with SocketDiag() as sockets:
        if options.scope.finds_sockets:
            bootstrap(programs, sockets, EarlierArguments.of(arguments_file(options)).complete)
        else:
            bootstrap(programs, None)
    programs.take_conversations_over()
    return programs, ""


def arguments_file(options: Options) -> KeptArguments:
    return KeptArguments(options.state_dir / "arguments")


def add_rules(netfilter: Netfilter, options: Options, ending: Ending, undo: AsyncExitStack) -> None:
    undo.callback(ending.remove_unless_kept, partial(_remove_rules, netfilter, options.scope))
    netfilter.add()
    if netfilter.lacks_security():
        _log.warning("no security table in this kernel: a netfilter rule of others may accept what is denied")


def _remove_rules(netfilter: Netfilter, scope: Scope) -> None:
    try:
        netfilter.remove()
    except SnitchError as error:
        # If they are one command's, `tinysnitch run` removes them.
        later = "; `tinysnitch-iptables-remove` takes them away" if scope.has_successor else ""
        raise SnitchError(f"the netfilter rules stay: {error}", error.hint + later) from None
