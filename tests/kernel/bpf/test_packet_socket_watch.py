"""packet_socket_watch.py: packet sockets that are opened or sent through, in a network namespace of its own."""

import os
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bpf.bpf_place import BpfPlace
from tests.bpf.packet_place import entered
from tests.lab.patience import PATIENCE
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.kernel.bpf import packet_socket_watch
from tinysnitch.kernel.bpf.objects import PACKET_PROGRAMS, object_path
from tinysnitch.kernel.bpf.packet_socket_watch import PacketSocketWatch
from tinysnitch.kernel.proc.packet_sockets import PacketSocketHolder, find_holders

pytestmark = [pytest.mark.privileged]


@pytest.fixture
def watch(place: BpfPlace) -> Iterator[PacketSocketWatch]:
    made = PacketSocketWatch(place.load())
    yield made
    made.close()


def look(watch: PacketSocketWatch) -> list[PacketSocketHolder]:
    inodes = watch.find_unknown()
    return watch.take_found(inodes, find_holders(inodes))


def wait_events(watch: PacketSocketWatch) -> list[PacketSocketHolder]:
    descriptor = watch.fileno()
    assert descriptor is not None
    assert select.select([descriptor], [], [], 10 * PATIENCE)[0]
    return watch.read_events()


def test_a_sender_is_told_of_once(place: BpfPlace, watch: PacketSocketWatch) -> None:
    agent = place.start_agent()
    handle, _cookie = agent.call("open_socket", "AF_PACKET", "SOCK_RAW")
    for _ in range(2):
        agent.call("send_frame", handle, "lo")
    (holder,) = wait_events(watch)
    assert (holder.pid, holder.uid) == (agent.pid, 0)
    assert holder.executable.startswith("/")
    assert watch.read_events() == []
    with entered(place.name):
        assert look(watch) == []


def test_a_silent_one_is_found_in_the_table_once(place: BpfPlace, watch: PacketSocketWatch) -> None:
    with entered(place.name):
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW):
            assert [found.pid for found in look(watch)] == [os.getpid()]
            watch.read_events()  # where it is told of each that is opened, too: what we run was not captured
            assert look(watch) == []
        assert look(watch) == []


def test_without_the_kernels_side_the_table_tells(place: BpfPlace) -> None:
    alone = PacketSocketWatch(None)
    assert (alone.fileno(), alone.program) == (None, None)
    with entered(place.name), socket.socket(socket.AF_PACKET, socket.SOCK_RAW):
        assert len(look(alone)) == 1
    assert alone.read_events() == []
    alone.close()


def test_of_a_program_that_is_no_use_nothing_stays(place: BpfPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ring buffer cannot be opened, as for want of descriptors."""
    closed: list[str] = []

    class Loaded:
        def __init__(self, path: Path, _maps: Path) -> None:
            self.name = path.name

        def attach(self, program: str) -> "Loaded":
            return Loaded(Path(program), Path())

        def close(self) -> None:
            closed.append(self.name)

    def refuse(*_what: object) -> None:
        raise SnitchError("opening the ring buffer: Too many open files")

    monkeypatch.setattr(packet_socket_watch, "ObjectFile", Loaded)
    monkeypatch.setattr(packet_socket_watch, "Ring", refuse)
    watch = PacketSocketWatch(place.load())
    assert (watch.fileno(), watch.program) == (None, None)
    assert closed == [name for file, program in PACKET_PROGRAMS.items() for name in (program, object_path(file).name)]
    watch.close()
