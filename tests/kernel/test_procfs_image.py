import os

import msgspec
import pytest

from tinysnitch.kernel import bpf_structs as structs
from tinysnitch.kernel import file_identity, procfs
from tinysnitch.kernel.cgroup_paths import read_cgroup_id
from tinysnitch.kernel.procfs_image import image_of


@pytest.mark.parametrize(
    ("change", "flags"),
    [
        ({}, 0),
        ({"is_deleted": True}, structs.IMAGE_DELETED),
        ({"is_argv_complete": False}, structs.IMAGE_ARGS_CUT),
        ({"is_argv_complete": False, "argv": ()}, structs.IMAGE_ARGS_UNREADABLE),
    ],
)
def test_an_image_from_proc_says_how_weak_it_is(change: dict[str, object], flags: int) -> None:
    own = procfs.read_process(os.getpid())
    assert own
    assert image_of(msgspec.structs.replace(own, **change)).flags == structs.IMAGE_SEEDED | flags


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
