"""What the daemon of a `tinysnitch run` leaves when it is killed: nobody adopts it, so it is taken away."""

from tinysnitch.daemon.instance import name_run
from tinysnitch.kernel.bpf_pins import remove_all_pins
from tinysnitch.kernel.cgroups import find_cgroup_mount, remove_cgroup
from tinysnitch.kernel.netfilter import Netfilter
from tinysnitch.kernel.netns import read_netns_cookie


def remove_leftovers(pid: int) -> None:
    """The command's processes end first: nothing of it runs unjudged. Right also when there is nothing."""
    instance = name_run(read_netns_cookie(), pid)
    remove_cgroup(find_cgroup_mount() / instance.label.lower())
    Netfilter(instance.label, instance.queues, program_path=None).remove()
    remove_all_pins(instance.pins)
