import os

import msgspec
import pytest

from tinysnitch.kernel.attribution import process_image as procfs_image
from tinysnitch.kernel.attribution.process_image import image_of
from tinysnitch.kernel.attribution.scan_budget import ScanBudget
from tinysnitch.kernel.bpf import layout
from tinysnitch.kernel.files import identity as file_identity
from tinysnitch.kernel.proc import procfs
from tinysnitch.kernel.proc.cgroups import read_cgroup_id


@pytest.mark.parametrize(
    ("change", "flags"),
    [
        ({}, 0),
        ({"is_deleted": True}, layout.IMAGE_DELETED),
        ({"is_argv_complete": False}, layout.IMAGE_ARGS_CUT),
        ({"is_argv_complete": False, "argv": ()}, layout.IMAGE_ARGS_UNREADABLE),
    ],
)
def test_an_image_from_proc_says_how_weak_it_is(change: dict[str, object], flags: int) -> None:
    own = procfs.read_process(os.getpid())
    assert own
    assert image_of(msgspec.structs.replace(own, **change)).flags == layout.IMAGE_BOOTSTRAPPED | flags


@pytest.mark.parametrize("device", [os.makedev(7, 70000), None])
def test_an_image_from_proc_has_its_file_and_its_cgroup(monkeypatch: pytest.MonkeyPatch, device: int | None) -> None:
    """The device of the file's superblock, or else the one by stat(2)."""
    monkeypatch.setattr(file_identity, "read_executable_device", lambda _pid: device)
    own = procfs.read_process(os.getpid())
    assert own
    image = image_of(own)
    assert (file_identity.decode_device(image.device), image.inode) == (device or own.device, own.inode)
    assert image.cgroup_id == read_cgroup_id(own.cgroup) != 0
    assert image_of(msgspec.structs.replace(own, cgroup="")).cgroup_id == 0


def test_a_process_whose_cgroup_is_not_to_be_had_may_be_in_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    own = procfs.read_process(os.getpid())
    assert own
    monkeypatch.setattr(procfs.bounded, "read", lambda _pid, _read: None)
    image = image_of(own)
    assert (image.cgroup_id, image.flags & layout.IMAGE_USER_NAMESPACE) == (0, layout.IMAGE_USER_NAMESPACE)


def test_the_tables_of_mounts_take_a_part_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond that the device is the one by stat(2)."""
    now_s, looks = 0.0, 0

    def read_slowly(_pid: int) -> int:
        nonlocal now_s, looks
        now_s, looks = now_s + 0.1, looks + 1
        return os.makedev(7, 7)

    own = procfs.read_process(os.getpid())
    assert own
    monkeypatch.setattr(procfs_image, "_table_looks", ScanBudget(lambda: now_s))
    monkeypatch.setattr(file_identity, "read_executable_device", read_slowly)
    devices = {file_identity.decode_device(image_of(own).device) for _ in range(1000)}
    assert devices == {os.makedev(7, 7), own.device}
    assert looks < 10
