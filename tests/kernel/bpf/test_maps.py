"""The maps are opened together, or none is."""

import mmap
import os
from collections.abc import Iterator

import pytest

from tests.bpf.bpf_place import BpfPlace
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.kernel.bpf.layout import Settings
from tinysnitch.kernel.bpf.maps import BpfMaps, BpfSettings
from tinysnitch.kernel.bpf.pins import PinFolder

pytestmark = pytest.mark.privileged


def open_maps(place: BpfPlace) -> BpfMaps:
    place.load()
    (path,) = place.pin_dir.iterdir()
    return BpfMaps(PinFolder(path))


def test_all_who_open_them_see_the_same(place: BpfPlace) -> None:
    first = open_maps(place)
    second = open_maps(place)
    pid = place.start_agent().pid
    assert first.processes.find(pid)
    assert first.processes.find(pid) == second.processes.find(pid)
    first.close()
    second.close()


def test_one_that_is_missing_leaves_none_open(place: BpfPlace) -> None:
    open_maps(place).close()
    (path,) = place.pin_dir.iterdir()
    PinFolder(path).map_path("statistics").unlink()
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(SnitchError):
        BpfMaps(PinFolder(path))
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.fixture
def file() -> Iterator[int]:
    made = os.memfd_create("settings")
    os.truncate(made, mmap.PAGESIZE)
    yield made
    os.close(made)


def read(file: int) -> Settings:
    return Settings.unpack_from(os.pread(file, mmap.PAGESIZE, 0))


HASH_KEY = bytes(range(16))


def test_each_field_goes_to_its_place(file: int) -> None:
    settings = BpfSettings(file)
    settings.initialize(next_exec_id=2**40, netns_cookie=2**33, is_scoped=True, hash_key=HASH_KEY)
    settings.generation = 7
    settings.set_tracing(True)
    settings.set_watching()
    settings.set_lost_listeners(True)
    settings.set_flow_generation(6)
    settings.own_epoch = 5
    settings.set_packet_limit(4)
    settings.masks = 3
    assert (settings.generation, settings.own_epoch, settings.masks) == (7, 5, 3)
    told = read(file)
    assert (told.masks, told.hash_key_low, told.hash_key_high) == (3, 0x0706050403020100, 0x0F0E0D0C0B0A0908)
    assert (told.next_exec_id, told.netns_cookie, told.generation) == (2**40, 2**33, 7)
    assert (told.is_scoped, told.is_tracing, told.is_watching) == (1, 1, 1)
    assert (told.has_lost_listeners, told.flow_generation, told.own_epoch) == (1, 6, 5)
    assert told.packet_limit == 4
    settings.close()


def test_a_change_leaves_the_fields_beside_it(file: int) -> None:
    """BPF counts `next_exec_id` on meanwhile."""
    settings = BpfSettings(file)
    settings.initialize(next_exec_id=1, netns_cookie=2, is_scoped=False, hash_key=HASH_KEY)
    os.pwrite(file, (99).to_bytes(8, "little"), Settings.OFFSETS["next_exec_id"])
    settings.generation = 3
    settings.set_tracing(False)
    assert read(file).next_exec_id == 99
    settings.close()
