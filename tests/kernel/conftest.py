"""A place with the BPF programs loaded, and a process at it."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.kernel.bpf_place import Agent, BpfPlace
from tests.kernel.packet_place import PacketPlace, Wire
from tinysnitch.kernel import bpf_structs as structs
from tinysnitch.kernel.bpf_programs import BpfPrograms
from tinysnitch.kernel.libbpf import Map


@pytest.fixture
def place() -> Iterator[BpfPlace]:
    with BpfPlace() as made:
        yield made


@pytest.fixture
def programs(place: BpfPlace) -> BpfPrograms:
    return place.load()


@pytest.fixture
def agent(place: BpfPlace, programs: BpfPrograms) -> Agent:
    return place.start_agent()


@pytest.fixture
def conversations(place: BpfPlace, programs: BpfPrograms) -> Iterator[Map]:
    assert programs
    (path,) = place.bpffs.glob("**/maps/conversations")
    with closing(Map(path, structs.FLOW_KEY.struct, structs.CONVERSATION.struct)) as opened:
        yield opened


@pytest.fixture
def server(place: BpfPlace, programs: BpfPrograms) -> Agent:
    """Another process there."""
    assert programs
    return place.start_agent()


@pytest.fixture
def packet_place() -> Iterator[PacketPlace]:
    with PacketPlace() as made:
        yield made


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire() as made:
        yield made
