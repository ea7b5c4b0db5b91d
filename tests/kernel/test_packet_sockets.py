"""packet_sockets.py against a real packet socket, in a network namespace of its own."""

import os
import socket
from pathlib import Path

import pytest

from tests.kernel.bpf_place import BpfPlace
from tests.kernel.packet_place import entered
from tinysnitch.kernel.packet_sockets import PacketSocketHolder, find_holders


@pytest.mark.privileged
def test_the_holder_is_found_while_it_holds(place: BpfPlace) -> None:
    with entered(place.name):
        assert find_holders() == []
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW):
            holder = PacketSocketHolder(os.getpid(), os.getuid(), str(Path("/proc/self/exe").readlink()))
            assert find_holders() == [holder]
        assert find_holders() == []
