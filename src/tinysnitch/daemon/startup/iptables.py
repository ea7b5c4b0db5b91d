"""tinysnitch-iptables-add and -remove: the netfilter rules alone, to be loaded at boot before any daemon.

While no daemon reads the queue, every new connection is dropped. A daemon that starts puts its own rules, which also
use the BPF programs, into the same chains in one transaction.
"""

import os
import sys
from contextlib import closing, suppress

import click

from tinysnitch import __version__
from tinysnitch.commandline.command_runner import run_command
from tinysnitch.commandline.notes import print_note
from tinysnitch.commandline.standard_streams import open_standard_streams
from tinysnitch.core.model.errors import NotPermitted, SnitchError
from tinysnitch.core.model.scope import Scope
from tinysnitch.daemon.instance import Instance, claim, name_instance
from tinysnitch.kernel.bpf.pins import remove_all_pins, unmount_bpffs
from tinysnitch.kernel.netfilter.firewall import Netfilter
from tinysnitch.kernel.proc.netns import read_netns_cookie


def _find_instance() -> Instance:
    if os.geteuid() != 0:
        raise NotPermitted("netfilter rules need root", "try it with sudo")
    return name_instance(read_netns_cookie(), Scope.MACHINE)


def _netfilter_of(instance: Instance) -> Netfilter:
    return Netfilter(instance.label, instance.queues, program_path=None)


@click.command(
    epilog="""\b
Examples:
  tinysnitch-iptables-add       hold everything that is new, from now on
  tinysnitchd                   then let this decide"""
)
@click.version_option(__version__, prog_name="tinysnitch-iptables-add", message="%(prog)s %(version)s")
def iptables_add() -> None:
    """Add tinysnitch's netfilter rules to this network namespace.

    Until tinysnitchd runs, every new connection is dropped; established ones go on. Does nothing when the rules are
    there already.
    """
    netfilter = _netfilter_of(_find_instance())
    if netfilter.stands():
        print_note("the netfilter rules are there already")
    else:
        netfilter.add()
        print_note("netfilter rules added: what is new is dropped until tinysnitchd runs")


@click.command(
    epilog="""\b
Example:
  tinysnitch-iptables-remove    as if they had never been there"""
)
@click.version_option(__version__, prog_name="tinysnitch-iptables-remove", message="%(prog)s %(version)s")
def iptables_remove() -> None:
    """Remove tinysnitch's netfilter rules from this network namespace, and what a daemon that died left in the kernel.

    A running tinysnitchd puts them back: stop it first.
    """
    instance = _find_instance()
    netfilter = _netfilter_of(instance)
    was_present = netfilter.is_present()
    netfilter.remove()
    if not _remove_pins(instance):
        print_note("netfilter rules removed, but tinysnitchd runs here and puts them back: stop it first")
    else:
        print_note("netfilter rules removed" if was_present else "there were no netfilter rules of tinysnitch")


def _remove_pins(instance: Instance) -> bool:
    """Remove what a dead daemon pinned, since its cached denials would go on inside connect(). False: a living daemon
    uses the pins, and they stay."""
    with suppress(SnitchError), closing(claim(instance)):
        remove_all_pins(instance.pins)
        unmount_bpffs()
        return True
    return False


def add() -> None:
    open_standard_streams()
    sys.exit(run_command(iptables_add, "tinysnitch-iptables-add"))


def remove() -> None:
    open_standard_streams()
    sys.exit(run_command(iptables_remove, "tinysnitch-iptables-remove"))
