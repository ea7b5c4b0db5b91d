"""Sockets that a judged command would be given from outside its cgroup: of those nothing would be judged.

To the kernel a socket is for ever of the cgroup that it was made in (cgroup_sk_alloc(), net/core/sock.c). So no hook of
the command's cgroup sees what it is used for, and no netfilter rule tells its packets from others'.
"""

import os
import socket
import stat
from contextlib import suppress

from tinysnitch.commandline.notes import print_note

_NO_NETWORK = (socket.AF_UNIX, socket.AF_NETLINK, socket.AF_ALG)
_STANDARD = ("input", "output", "error")  # descriptors 0 to 2


def keep_back_sockets() -> None:
    """Close what the command would inherit, and say so; its standard streams it needs, so of these it is only said."""
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError):  # that of /proc/self/fd itself is closed by now
            if os.get_inheritable(descriptor) and _is_of_network(descriptor):
                _keep_back(descriptor)


def _is_of_network(descriptor: int) -> bool:
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return False
    with socket.socket(fileno=os.dup(descriptor)) as given:
        return given.family not in _NO_NETWORK


def _keep_back(descriptor: int) -> None:
    if descriptor < len(_STANDARD):
        name = f"standard {_STANDARD[descriptor]}"
        print_note(f"{name} is a network socket from outside: what goes through it is not judged")
        return
    print_note(f"descriptor {descriptor} is a network socket from outside, which cannot be judged: closed")
    os.close(descriptor)
