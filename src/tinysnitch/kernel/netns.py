"""Which network namespace this thread is in."""

import os
import socket
import sys

from tinysnitch.kernel.proc_place import PROC

SO_NETNS_COOKIE = 71  # include/uapi/asm-generic/socket.h, since Linux 5.14


def read_netns_cookie() -> int:
    """Unique until reboot; what bpf_get_netns_cookie() returns for sockets of this namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        raw = probe.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)
    return int.from_bytes(raw, sys.byteorder)


def read_netns_inode() -> int:
    """The number that `ls -l /proc/PID/ns/net` shows."""
    return os.stat(f"{PROC}/thread-self/ns/net").st_ino
