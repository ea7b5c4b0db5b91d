"""Who holds a packet socket (packet(7)): it sends and receives past netfilter, so no rule here can hold it back."""

from collections.abc import Iterator

import msgspec

from tinysnitch.kernel import procfs

_TABLE = "/proc/thread-self/net/packet"
_INODE = 8  # columns of packet_seq_show() in net/packet/af_packet.c: sk RefCnt Type Proto Iface R Rmem User Inode


class PacketSocketHolder(msgspec.Struct, frozen=True):
    pid: int
    uid: int
    executable: str


def find_holders() -> list[PacketSocketHolder]:
    """All processes with a packet socket of this network namespace; /proc is looked through only if there is one."""
    inodes = set(parse_inodes(_read_table()))
    pids = [pid for pid in procfs.list_processes() if _holds(pid, inodes)] if inodes else []
    found = filter(None, map(procfs.read_process, pids))
    return [PacketSocketHolder(process.pid, process.uid, process.executable) for process in found]


def parse_inodes(table: str) -> Iterator[int]:
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > _INODE:
            yield int(fields[_INODE])


def _read_table() -> str:
    try:
        with open(_TABLE) as file:
            return file.read()
    except OSError:  # no CONFIG_PACKET: no such sockets either
        return ""


def _holds(pid: int, inodes: set[int]) -> bool:
    return any(inode in inodes for _descriptor, inode in procfs.list_sockets(pid))
