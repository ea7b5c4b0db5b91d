"""The names of one daemon's things, so that daemons of several namespaces, and `tinysnitch run`, do not meet."""

import os
import socket
from pathlib import Path

import msgspec

from tinysnitch.core.errors import SnitchError

BPFFS = Path("/sys/fs/bpf")
QUEUE = 29810  # "ts" in ASCII is 29811; two numbers each, connections and names


class Instance(msgspec.Struct, frozen=True):
    label: str  # of chains and cgroups
    pins: Path
    queues: tuple[int, int]  # connections, names


def name_instance(netns_cookie: int, is_scoped: bool) -> Instance:
    """One daemon judges a namespace as a whole; any number judge one command each beside it."""
    if not is_scoped:
        return Instance("TINYSNITCH", BPFFS / f"tinysnitch-{netns_cookie:x}", (QUEUE, QUEUE + 1))
    pid = os.getpid()
    first = QUEUE + 2 + 2 * (pid % 10000)
    return Instance(f"TS-RUN-{pid}", BPFFS / f"tinysnitch-{netns_cookie:x}-run-{pid}", (first, first + 1))


def claim(instance: Instance) -> socket.socket:
    """Make sure that this is the only one: an abstract socket belongs to its network namespace (unix(7))."""
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        lock.bind(f"\0tinysnitchd-{instance.label}")
    except OSError:
        lock.close()
        raise SnitchError(
            "tinysnitchd runs in this network namespace already",
            "`tinysnitch status` asks it how it is; `tinysnitch run -- COMMAND` works beside it",
        ) from None
    return lock
