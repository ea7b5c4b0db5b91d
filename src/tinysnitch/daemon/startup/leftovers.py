"""Removes what the daemon of a `tinysnitch run` leaves when it is killed: no later daemon would adopt it."""

from tinysnitch.daemon.instance import name_run
from tinysnitch.kernel.bpf.bpffs import unmount_bpffs
from tinysnitch.kernel.bpf.pins import remove_all_pins
from tinysnitch.kernel.netfilter.firewall import Netfilter
from tinysnitch.kernel.proc.cgroups import find_cgroup_mount, remove_cgroup
from tinysnitch.kernel.proc.netns import read_netns_cookie


def remove_leftovers(pid: int) -> None:
    """End the command's processes first, so that none of them runs unjudged. Does nothing when nothing is left."""
    instance = name_run(read_netns_cookie(), pid)
    remove_cgroup(find_cgroup_mount() / instance.label.lower())
    Netfilter(instance.label, instance.queues, program_path=None).remove()
    remove_all_pins(instance.pins)
    unmount_bpffs()
