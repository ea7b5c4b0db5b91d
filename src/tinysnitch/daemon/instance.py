"""What tells one daemon from another: the names of its chains, pins, queues and cgroup, and what does not change while
it runs. Other network namespaces and `tinysnitch run` have other names.
"""

import os
from pathlib import Path

import msgspec

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.scope import Scope
from tinysnitch.daemon.options import Options
from tinysnitch.kernel.bpf.pins import MOUNT_POINT
from tinysnitch.kernel.nfqueue.queue import Queue, QueueTaken
from tinysnitch.protocol.messages import Mode

QUEUE = 29810  # "ts" in ASCII is 29811
_NUMBERS = 3  # queues of each daemon: connections, DNS messages, and the claim
_RUNS = 10_000  # so many `tinysnitch run` have queues of their own; a queue's number has 16 bits


class Instance(msgspec.Struct, frozen=True):
    label: str  # of chains and cgroups
    pins: Path
    queues: tuple[int, int]  # connections, DNS messages
    claim: int  # the number of a queue that no netfilter rule uses: see `claim`


def name_instance(netns_cookie: int, scope: Scope) -> Instance:
    """One daemon judges the whole namespace; beside it, any number may judge one command each."""
    if scope is Scope.MACHINE:
        return _name("TINYSNITCH", f"tinysnitch-{netns_cookie:x}", QUEUE)
    return name_run(netns_cookie, os.getpid())


def name_run(netns_cookie: int, pid: int) -> Instance:
    """The names of the daemon with this pid, which judges one command."""
    return _name(f"TS-RUN-{pid}", f"tinysnitch-{netns_cookie:x}-run-{pid}", QUEUE + _NUMBERS * (1 + pid % _RUNS))


def _name(label: str, pins: str, first_queue: int) -> Instance:
    return Instance(label, MOUNT_POINT / pins, (first_queue, first_queue + 1), first_queue + 2)


def claim(instance: Instance) -> Queue:
    """Make sure that no other daemon of this name runs, until the queue is closed. Raises SnitchError when one does.

    The kernel gives a queue of a network namespace to one reader, and only with CAP_NET_ADMIN. The name of a socket, or
    the lock of a file that all may open, could be taken by any user to keep the firewall from starting.
    """
    try:
        return Queue(instance.claim)
    except QueueTaken:
        raise SnitchError(
            "tinysnitchd runs in this network namespace already",
            "`tinysnitch status` asks it how it is; `tinysnitch run -- COMMAND` works beside it",
        ) from None


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    options: Options
    instance: Instance
    pid: int
    netns: int  # inode of the namespace
    cgroup: str
    degraded_because: str  # "": BPF works
    started_s: float  # boot-time seconds

    @property
    def mode(self) -> Mode:
        return Mode.DEGRADED if self.degraded_because else Mode.BPF
