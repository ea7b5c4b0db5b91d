"""packet_sockets.py against a real packet socket, in a network namespace of its own."""

import os
import socket
from pathlib import Path

import pytest

from tests.bpf.bpf_place import BpfPlace
from tests.bpf.packet_place import entered
from tinysnitch.kernel.proc import procfs
from tinysnitch.kernel.proc.packet_sockets import PacketSocketHolder, find_holders, parse_inodes, read_inodes


@pytest.mark.privileged
def test_the_holder_is_found_while_it_holds(place: BpfPlace) -> None:
    status = procfs.read_stat(os.getpid())
    assert status
    executable = str(Path("/proc/self/exe").readlink())
    with entered(place.name):
        assert read_inodes() == set()
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW):
            holder = PacketSocketHolder(os.getpid(), os.getuid(), executable, status.started_ns)
            assert find_holders(read_inodes()) == [holder]
        assert read_inodes() == set()


def test_nobody_holds_what_is_not_there() -> None:
    assert find_holders(set()) == []


def test_a_line_that_is_cut_short_is_left_out() -> None:
    table = "sk RefCnt Type Proto Iface R Rmem User Inode\n0 3 3 0003 0 1 0 0 4711\n0 3 3"
    assert list(parse_inodes(table)) == [4711]
