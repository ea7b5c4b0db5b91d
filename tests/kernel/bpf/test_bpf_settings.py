"""A memory file stands for the map: both are shared pages. How BPF uses the settings: tests/bpf/test_verdict.py."""

import mmap
import os
from collections.abc import Iterator

import pytest

from tinysnitch.kernel.bpf.bpf_settings import BpfSettings
from tinysnitch.kernel.bpf.structs import SETTINGS


@pytest.fixture
def file() -> Iterator[int]:
    made = os.memfd_create("settings")
    os.truncate(made, mmap.PAGESIZE)
    yield made
    os.close(made)


def read(file: int) -> dict[str, int]:
    values = SETTINGS.struct.unpack(os.pread(file, SETTINGS.struct.size, 0))
    return dict(zip(SETTINGS.offsets(), values, strict=False))


def test_each_field_goes_to_its_place(file: int) -> None:
    settings = BpfSettings(file)
    settings.initialize(next_exec_id=2**40, netns_cookie=2**33, is_scoped=True)
    settings.generation = 7
    settings.set_tracing(True)
    settings.set_watching()
    settings.set_lost_listeners(True)
    settings.set_flow_generation(6)
    settings.own_epoch = 5
    settings.set_crowd_limit(4)
    assert (settings.generation, settings.own_epoch) == (7, 5)
    told = read(file)
    assert (told["next_exec_id"], told["netns_cookie"], told["generation"]) == (2**40, 2**33, 7)
    assert (told["is_scoped"], told["is_tracing"], told["is_watching"]) == (1, 1, 1)
    assert (told["has_lost_listeners"], told["flow_generation"], told["own_epoch"]) == (1, 6, 5)
    assert told["crowd_limit"] == 4
    settings.close()


def test_a_change_leaves_the_fields_beside_it(file: int) -> None:
    """BPF counts `next_exec_id` on meanwhile."""
    settings = BpfSettings(file)
    settings.initialize(next_exec_id=1, netns_cookie=2, is_scoped=False)
    os.pwrite(file, (99).to_bytes(8, "little"), SETTINGS.offsets()["next_exec_id"])
    settings.generation = 3
    settings.set_tracing(False)
    assert read(file)["next_exec_id"] == 99
    settings.close()
