"""Finds processes with a packet socket (packet(7)), which sends and receives past netfilter: no rule can stop it."""

from collections.abc import Collection, Iterator

import msgspec

from tinysnitch.kernel.proc import procfs
from tinysnitch.kernel.system.proc_place import PROC

_TABLE = f"{PROC}/thread-self/net/packet"
_INODE = 8  # columns of packet_seq_show() in net/packet/af_packet.c: sk RefCnt Type Proto Iface R Rmem User Inode


class PacketSocketHolder(msgspec.Struct, frozen=True):
    pid: int
    uid: int
    executable: str
    started_ns: int  # boot-time clock, in steps of a clock tick


def find_holders(inodes: Collection[int]) -> list[PacketSocketHolder]:
    """All processes that hold one of these sockets; /proc is looked through only if there is one."""
    pids = [pid for pid in procfs.list_processes() if _holds(pid, inodes)] if inodes else []
    found = filter(None, map(procfs.read_process, pids))
    return [PacketSocketHolder(each.pid, each.uid, each.executable, each.started_ns) for each in found]


def read_inodes() -> set[int]:
    """The inodes of all packet sockets of this network namespace."""
    try:
        with open(_TABLE) as file:
            return set(parse_inodes(file.read()))
    except OSError:  # no CONFIG_PACKET: no such sockets either
        return set()


def parse_inodes(table: str) -> Iterator[int]:
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > _INODE:
            yield int(fields[_INODE])


def _holds(pid: int, inodes: Collection[int]) -> bool:
    return any(inode in inodes for _descriptor, inode in procfs.list_sockets(pid))
