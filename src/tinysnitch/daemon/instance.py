"""The names of one daemon's things, so that daemons of several namespaces, and `tinysnitch run`, do not meet."""

import os
from pathlib import Path

import msgspec

from tinysnitch.core.errors import SnitchError
from tinysnitch.kernel.bpffs import MOUNT_POINT
from tinysnitch.kernel.nfqueue import Queue, QueueTaken

QUEUE = 29810  # "ts" in ASCII is 29811
_NUMBERS = 3  # of each daemon: connections, names, and the claim
_RUNS = 10_000  # have numbers of their own; a queue's has 16 bits


class Instance(msgspec.Struct, frozen=True):
    label: str  # of chains and cgroups
    pins: Path
    queues: tuple[int, int]  # connections, names
    claim: int  # a queue that no rule leads to


def name_instance(netns_cookie: int, is_scoped: bool) -> Instance:
    """One daemon judges a namespace as a whole; any number judge one command each beside it."""
    if not is_scoped:
        return _name("TINYSNITCH", f"tinysnitch-{netns_cookie:x}", QUEUE)
    return name_run(netns_cookie, os.getpid())


def name_run(netns_cookie: int, pid: int) -> Instance:
    """Of the daemon with this process number, which judges one command."""
    return _name(f"TS-RUN-{pid}", f"tinysnitch-{netns_cookie:x}-run-{pid}", QUEUE + _NUMBERS * (1 + pid % _RUNS))


def _name(label: str, pins: str, first_queue: int) -> Instance:
    return Instance(label, MOUNT_POINT / pins, (first_queue, first_queue + 1), first_queue + 2)


def claim(instance: Instance) -> Queue:
    """Make sure that this is the only one, until it is closed. Raises SnitchError when it is not.

    The kernel gives a queue of a network namespace to one reader, and only with CAP_NET_ADMIN: nobody without it can
    keep the firewall from its start, as with a socket's name or a lock on a file that all may open.
    """
    try:
        return Queue(instance.claim)
    except QueueTaken:
        raise SnitchError(
            "tinysnitchd runs in this network namespace already",
            "`tinysnitch status` asks it how it is; `tinysnitch run -- COMMAND` works beside it",
        ) from None
