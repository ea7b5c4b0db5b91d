"""A place with the BPF programs loaded, and a process at it."""

from collections.abc import Iterator

import pytest

from tests.kernel.bpf_place import Agent, BpfPlace
from tests.kernel.packet_place import PacketPlace, Wire
from tinysnitch.kernel.bpf_programs import BpfPrograms


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
def packet_place() -> Iterator[PacketPlace]:
    with PacketPlace() as made:
        yield made


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire() as made:
        yield made
