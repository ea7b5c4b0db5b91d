"""What a judged command may use that is outside its cgroup, and so cannot be judged: it is closed, or people are told.

To the kernel a socket belongs for ever to the cgroup that it was made in (cgroup_sk_alloc(), net/core/sock.c). So no
hook of the command's cgroup sees what is sent through it, and netfilter rules cannot tell its packets from others.

A container engine starts its containers in cgroups of their own, not in that of the judged command.
"""

import os
import socket
import stat
from contextlib import suppress

from tinysnitch.commandline.notes import print_note

_NO_NETWORK = (socket.AF_UNIX, socket.AF_NETLINK, socket.AF_ALG)
_STANDARD = ("input", "output", "error")  # descriptors 0 to 2
_ENGINES = frozenset({"docker", "podman", "buildah", "nerdctl", "lxc", "incus", "machinectl", "systemd-nspawn"})


def keep_back_sockets() -> None:
    """Close each such socket and say so. Standard streams, which it needs, stay open and are named."""
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError):  # one of them was listdir()'s own, which is closed by now
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
        print_note(f"{name} is a network socket made outside: what goes through it is not judged")
        return
    print_note(f"descriptor {descriptor} is a network socket made outside, which cannot be judged: it was closed")
    os.close(descriptor)


def tell_of_engine(command: str) -> None:
    """Say that a container engine's containers are not judged: the summary lists nothing that they tried."""
    name = command.rpartition("/")[2]
    if name in _ENGINES:
        print_note(f"what runs in containers of {name} is not judged: they have cgroups of their own")
