import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest

from tests.bpf.attribution_table import make_image
from tests.lab.leftovers import own_name
from tests.shortage import descriptors_left
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.kernel.attribution import process_image as procfs_image
from tinysnitch.kernel.attribution.process_builder import NoImages, ProcessBuilder
from tinysnitch.kernel.attribution.process_image import image_of
from tinysnitch.kernel.proc import cgroup_paths, procfs
from tinysnitch.kernel.proc.cgroup_paths import CgroupPaths, read_cgroup_id
from tinysnitch.kernel.proc.cgroups import find_cgroup_mount
from tinysnitch.kernel.system.bounded_reader import BoundedReader

pytestmark = pytest.mark.privileged


@pytest.fixture
def service() -> Iterator[Path]:
    """A cgroup that looks like a unit's."""
    outer = find_cgroup_mount() / f"{own_name('who')}.slice"
    inner = outer / "web.service"
    inner.mkdir(parents=True)
    yield inner
    for folder in (inner, outer):
        if folder.exists():
            folder.rmdir()


@pytest.fixture
def paths() -> Iterator[CgroupPaths]:
    made = CgroupPaths()
    yield made
    made.close()


def test_an_id_of_which_nothing_can_be_told_now_is_not_taken_for_none(service: Path, paths: CgroupPaths) -> None:
    with descriptors_left(0), pytest.raises(OSError, match="open_by_handle_at"):
        paths.find(service.stat().st_ino, 0)
    assert paths.find(service.stat().st_ino, 0)


def test_an_id_leads_to_its_path(service: Path, paths: CgroupPaths) -> None:
    path = "/" + str(service.relative_to(find_cgroup_mount()))
    cgroup_id = read_cgroup_id(path)
    assert cgroup_id == service.stat().st_ino
    assert paths.find(cgroup_id, 0) == path
    assert paths.find(find_cgroup_mount().stat().st_ino, 0) == "/"
    assert read_cgroup_id(path + "/missing") == 0


def test_a_cgroup_that_is_gone(service: Path, paths: CgroupPaths) -> None:
    cgroup_id = service.stat().st_ino
    service.rmdir()
    assert paths.find(cgroup_id, 0) == ""
    assert paths.find(0, 0) == ""


def test_where_no_tree_of_version_2_is_mounted_no_path_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise SnitchError("none is mounted")

    monkeypatch.setattr(cgroup_paths, "find_cgroup_mount", fail)
    cgroup_paths._find_mount.cache_clear()
    try:
        with closing(CgroupPaths()) as paths:
            assert paths.find(1, 0) == ""
    finally:
        cgroup_paths._find_mount.cache_clear()


def test_the_unit_is_told_of_the_process(service: Path) -> None:
    builder = ProcessBuilder(NoImages())
    process = builder.build(make_image(cgroup_id=service.stat().st_ino), pid=1, started_ns=1, uid=0)
    assert process.owners == ("unit:web.service",)
    builder.close()


def test_a_path_ends_with_the_first_folder_that_is_not_roots_alone(service: Path, paths: CgroupPaths) -> None:
    mount, inner = find_cgroup_mount(), service / "ssh.service" / "payload"
    inner.mkdir(parents=True)
    try:
        assert paths.find(inner.stat().st_ino, 0) == "/" + str(inner.relative_to(mount))
        os.chown(service, 65534, 0)
        assert paths.find(inner.parent.stat().st_ino, 0) == "/" + str(service.relative_to(mount))
        os.chown(service, 0, 65534)
        service.chmod(0o775)
        fresh = CgroupPaths()
        assert fresh.find(inner.stat().st_ino, 0) == "/" + str(service.relative_to(mount))
        fresh.close()
    finally:
        for folder in (inner, inner.parent):
            folder.rmdir()


def test_what_is_in_a_session_managers_folder_is_told(service: Path, paths: CgroupPaths) -> None:
    inner = service.parent / "user@65534.service" / "sync.service"
    inner.mkdir(parents=True)
    try:
        os.chown(inner.parent, 65534, 65534)
        assert paths.find(inner.stat().st_ino, 0) == "/" + str(inner.relative_to(find_cgroup_mount()))
    finally:
        for folder in (inner, inner.parent):
            folder.rmdir()


def test_a_cgroup_that_is_too_deep_for_a_path(service: Path, paths: CgroupPaths) -> None:
    """Its path is that of a folder above it."""
    name, depth = "d" * 100, 60
    folder = os.open(service, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=folder)
        above, folder = folder, os.open(name, os.O_RDONLY, dir_fd=folder)
        os.close(above)
    try:
        found = paths.find(os.fstat(folder).st_ino, 0)
        assert found
        assert found.startswith(f"/{service.parent.name}/{service.name}/{name}/")
    finally:
        for _ in range(depth):
            below, folder = folder, os.open("..", os.O_RDONLY, dir_fd=folder)
            os.close(below)
            os.rmdir(name, dir_fd=folder)
        os.close(folder)


def test_a_cgroup_whose_folder_does_not_answer_is_not_waited_for(
    service: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any user can hold the lock of a folder that the look-up may need: iterate_dir() in exportfs' get_name()."""
    over = Event()

    class Locked:
        open_by_handle_at = staticmethod(lambda *_words: over.wait() and -1)

    monkeypatch.setattr(procfs, "bounded", BoundedReader(procfs.read_uid))
    monkeypatch.setattr(cgroup_paths, "_libc", Locked)
    image = make_image(cgroup_id=service.stat().st_ino)
    with closing(ProcessBuilder(NoImages())) as builder:
        process = builder.build(image, pid=1, started_ns=1, uid=1000)
    assert (process.owners, process.is_file_told) == ((), False)
    over.set()


def test_nor_is_it_for_a_process_that_is_read_from_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    over = Event()
    monkeypatch.setattr(procfs, "bounded", BoundedReader(procfs.read_uid))
    monkeypatch.setattr(procfs_image, "read_cgroup_id", lambda _path: over.wait())
    own = procfs.read_process(os.getpid())
    assert own
    assert image_of(own).cgroup_id == 0
    over.set()
