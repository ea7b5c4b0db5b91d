"""Which network namespace this thread is in, and what it is called."""

import os
import socket
import sys
from pathlib import Path

from tinysnitch.core.model.errors import unless_short
from tinysnitch.kernel.system.proc_place import PROC

NAMED = Path("/run/netns")  # ip-netns(8)
SO_NETNS_COOKIE = 71  # include/uapi/asm-generic/socket.h, since Linux 5.14


def read_netns_cookie() -> int:
    """Unique until reboot; what bpf_get_netns_cookie() returns for sockets of this namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        raw = probe.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)
    return int.from_bytes(raw, sys.byteorder)


def read_netns_inode() -> int:
    """The number that `ls -l /proc/PID/ns/net` shows."""
    return _read_own().st_ino


def find_netns_names() -> list[str]:
    """The names that `ip netns add` or `attach` gave to this namespace; mostly none."""
    own = _read_own()
    try:
        names = os.listdir(NAMED)
    except OSError as error:
        return unless_short(error, [])
    return sorted(name for name in names if _is_namespace(NAMED / name, own))


def _read_own() -> os.stat_result:
    return os.stat(f"{PROC}/thread-self/ns/net")


def _is_namespace(path: Path, own: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), own)
    except OSError as error:
        return unless_short(error, False)
