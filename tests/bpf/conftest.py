"""A place with the BPF programs loaded, and a process at it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.bpf.bpf_place import HELD, Agent, BpfPlace
from tests.bpf.netns_visit import visit_netns
from tests.bpf.packet_place import PacketPlace, Wire
from tests.lab.leftovers import NETNS_FOLDER
from tinysnitch.kernel.bpf import layout
from tinysnitch.kernel.bpf.libbpf import Map
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.nfqueue.queue import Queue


@pytest.fixture
def place(_clean_machine: None) -> Iterator[BpfPlace]:
    with BpfPlace() as made:
        yield made


@pytest.fixture
def programs(place: BpfPlace) -> BpfPrograms:
    return place.load()


@pytest.fixture
def agent(place: BpfPlace, programs: BpfPrograms) -> Agent:
    return place.start_agent()


@pytest.fixture
def queue(place: BpfPlace) -> Iterator[Queue]:
    """A queue at the place, in which held packets wait."""
    with visit_netns(NETNS_FOLDER / place.name):
        opened = Queue(HELD)
    with closing(opened):
        yield opened


@contextmanager
def open_conversations(place: BpfPlace, name: str) -> Iterator[Map]:
    (path,) = place.bpffs.glob(f"**/maps/{name}")
    with closing(Map(path, layout.FlowKey, layout.Conversation)) as opened:
        yield opened


@pytest.fixture
def conversations(place: BpfPlace, programs: BpfPrograms) -> Iterator[Map]:
    assert programs
    with open_conversations(place, "conversations") as opened:
        yield opened


@pytest.fixture
def crowded(place: BpfPlace, programs: BpfPrograms) -> Iterator[Map]:
    assert programs
    with open_conversations(place, "crowded") as opened:
        yield opened


@pytest.fixture
def server(place: BpfPlace, programs: BpfPrograms) -> Agent:
    """Another process at the place."""
    assert programs
    return place.start_agent()


@pytest.fixture
def packet_place(_clean_machine: None) -> Iterator[PacketPlace]:
    with PacketPlace() as made:
        yield made


@pytest.fixture
def wire(_clean_machine: None) -> Iterator[Wire]:
    with Wire() as made:
        yield made
