"""The maps are opened together, or none is."""

import os

import pytest

from tests.bpf.bpf_place import BpfPlace
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.kernel.bpf.maps import BpfMaps
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
