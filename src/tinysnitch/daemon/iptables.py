"""tinysnitch-iptables-add and -remove: the netfilter rules alone, to be loaded at boot before any daemon.

Without a daemon nobody reads the queue: what is unknown is dropped, from the first moment on. A daemon that starts
puts its own rules, with the kernel's cached verdicts, into the same chains in one transaction.
"""

import os
import sys

import click

from tinysnitch import __version__
from tinysnitch.core.errors import NotPermitted
from tinysnitch.daemon.instance import name_instance
from tinysnitch.daemon.main import run_command
from tinysnitch.kernel.netfilter import Netfilter
from tinysnitch.kernel.netns import read_netns_cookie


def _netfilter() -> Netfilter:
    if os.geteuid() != 0:
        raise NotPermitted("netfilter rules need root", "try it with sudo")
    instance = name_instance(read_netns_cookie(), is_scoped=False)
    return Netfilter(instance.label, instance.queues, program_path=None)


@click.command(
    epilog="""\b
Examples:
  tinysnitch-iptables-add       hold everything that is new, from now on
  tinysnitchd                   then let this decide"""
)
@click.version_option(__version__, prog_name="tinysnitch-iptables-add")
def iptables_add() -> None:
    """Add tinysnitch's netfilter rules to this network namespace.

    Until tinysnitchd runs, every new connection is dropped; established ones go on. Does nothing when the rules are
    there already.
    """
    netfilter = _netfilter()
    if not netfilter.is_present():
        netfilter.add()


@click.command(
    epilog="""\b
Example:
  tinysnitch-iptables-remove    as if they had never been there"""
)
@click.version_option(__version__, prog_name="tinysnitch-iptables-remove")
def iptables_remove() -> None:
    """Remove tinysnitch's netfilter rules from this network namespace, and nothing else.

    A running tinysnitchd judges nothing any more after that.
    """
    _netfilter().remove()


def add() -> None:
    sys.exit(run_command(iptables_add))


def remove() -> None:
    sys.exit(run_command(iptables_remove))
