""""""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event

import pytest

from tests.bpf.attribution_table import make_image
from tests.lab import cgroup
from tests.lab.leftovers import own_name
from tests.lab.patience import WAIT_S, read_line, wait_until
from tests.lab.world import PROGRAMS
from tests.shortage import descriptors_left
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.kernel.attribution import process_image as procfs_image
from tinysnitch.kernel.attribution.process_builder import NoImages, ProcessBuilder
from tinysnitch.kernel.attribution.process_image import image_of
from tinysnitch.kernel.proc import cgroups, procfs
from tinysnitch.kernel.proc import cgroups as cgroup_paths
from tinysnitch.kernel.proc.cgroups import (
    CgroupPaths,
    find_cgroup_mount,
    is_cgroup2,
    make_cgroup,
    path_in_hierarchy,
    read_cgroup_id,
    remove_cgroup,
)
from tinysnitch.kernel.proc.mounts import parse_mounts
from tinysnitch.kernel.system.offload import Offload


@pytest.fixture
def name() -> Iterator[str]:
    unique = own_name("cgroup")
    yield unique
    cgroup.remove(cgroup.find_root() / unique)


@pytest.mark.parametrize(
    ("mounts", "place"),
    [
        ("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", "/sys/fs/cgroup"),
        ("tmpfs /sys/fs/cgroup tmpfs rw 0 0\nc /sys/fs/cgroup/unified cgroup2 rw 0 0\n", "/sys/fs/cgroup/unified"),
        ("cgroup /cgroup2 cgroup rw 0 0\n\nshort line\nnone /my\\040own\\134040 cgroup2 rw 0 0", "/my own\\040"),
        ("disk /odd\udcff ext4 rw 0 0\nnone /\udcff cgroup2 rw 0 0\n", "/\udcff"),
    ],
)
def test_where_it_is_mounted(monkeypatch: pytest.MonkeyPatch, mounts: str, place: str) -> None:
    monkeypatch.setattr(cgroups, "read_mounts", lambda: parse_mounts(mounts))
    monkeypatch.setattr(cgroups, "is_cgroup2", lambda _place: True)
    assert find_cgroup_mount() == Path(place)


@pytest.mark.privileged
@pytest.mark.parametrize("hidden", [".", ".."])
def test_one_that_a_later_mount_hides_is_passed_over(tmp_path: Path, hidden: str) -> None:
    """In a mount namespace of its own, first without any cgroup2 mount."""
    script = (
        "import subprocess, sys; from tinysnitch.kernel.proc.cgroups import SnitchError, find_cgroup_mount\n"
        "try: found = find_cgroup_mount()\n"
        "except SnitchError as error: print(error); print(error.hint)\n"
        "subprocess.run(['mount', '-t', 'cgroup2', 'none', sys.argv[1]], check=True); print(find_cgroup_mount())\n"
    )
    hide = 'mount -t tmpfs none "$0" && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", hide, cgroup.find_root() / hidden, sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    found = subprocess.run([*command, tmp_path], check=True, env=environment, capture_output=True, text=True)
    problem, hint, place = found.stdout.splitlines()
    assert (problem, place) == ("no cgroup2 hierarchy is mounted", str(tmp_path))
    assert cgroups.HIDDEN_HINT in hint


def test_not_mounted_is_said_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "read_mounts", lambda: parse_mounts("cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n"))
    with pytest.raises(SnitchError, match="no cgroup2") as missing:
        find_cgroup_mount()
    assert "nsenter --net=" in (missing.value.hint or "")


def test_the_mount_of_this_machine() -> None:
    assert (find_cgroup_mount() / "cgroup.controllers").exists()
    assert path_in_hierarchy(find_cgroup_mount() / "a" / "b") == "a/b"


def test_only_what_is_mounted_as_cgroup2_is_such_a_cgroup(tmp_path: Path) -> None:
    assert is_cgroup2(cgroup.find_root())
    assert not is_cgroup2(tmp_path)
    assert not is_cgroup2(Path("/proc"))
    assert not is_cgroup2(tmp_path / "none")


@pytest.mark.privileged
def test_a_cgroup_is_made_once(name: str) -> None:
    path = make_cgroup(name)
    assert (path / "cgroup.procs").read_text() == ""
    with pytest.raises(SnitchError, match="cannot make the cgroup") as refused:
        make_cgroup(name)
    assert refused.value.hint


@pytest.mark.privileged
def test_removal_kills_what_runs_in_it_and_below(name: str) -> None:
    path = make_cgroup(name)
    (path / "below" / "deeper").mkdir(parents=True)
    children = [subprocess.Popen(["sleep", "60"]) for _ in range(2)]
    for child, place in zip(children, (path, path / "below" / "deeper"), strict=True):
        (place / "cgroup.procs").write_text(str(child.pid))
    assert (path / "cgroup.procs").read_text() == f"{children[0].pid}\n"
    remove_cgroup(path)
    assert not path.exists()
    assert [child.wait(timeout=WAIT_S) for child in children] == [-9, -9]


@pytest.mark.privileged
def test_removal_is_right_when_it_is_gone(name: str) -> None:
    path = make_cgroup(name)
    remove_cgroup(path)
    remove_cgroup(path)


@contextmanager
def hidden_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in the cgroup, whose first thread has ended."""
    program = [sys.executable, str(PROGRAMS / "hidden.py"), "zombie"]
    command = ["sh", "-ec", 'echo $$ >"$0/cgroup.procs"; exec "$@"', str(path), *program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as hidden:
        assert read_line(hidden)
        wait_until(lambda: procfs.read_argv(hidden.pid) == ((), False))  # a zombie has none
        yield hidden


@pytest.mark.privileged
def test_removal_kills_a_process_whose_first_thread_has_ended(name: str) -> None:
    path = make_cgroup(name)
    with hidden_process(path) as hidden:
        remove_cgroup(path)
        assert hidden.wait(timeout=WAIT_S)
    assert not path.exists()


@pytest.mark.privileged
def test_removal_passes_over_what_lists_only_threads(name: str) -> None:
    """A program inside may make a threaded cgroup (cgroup-v2.rst, Threads): its processes are listed above it."""
    path = make_cgroup(name)
    threaded = path / "threaded"
    threaded.mkdir()
    (threaded / "cgroup.type").write_text("threaded")
    child = subprocess.Popen(["sleep", "60"])
    (path / "cgroup.procs").write_text(str(child.pid))
    remove_cgroup(path)
    assert not path.exists()
    assert child.wait(timeout=WAIT_S) == -9


@pytest.mark.privileged
def test_removal_ends_no_process_of_ours_for_one_that_has_no_number_here(name: str) -> None:
    """In another PID namespace: listed as 0, which to kill(2) is our own process group. cgroup.kill spares it."""
    path = make_cgroup(name)
    remove = "import sys; from pathlib import Path; from tinysnitch.kernel.proc import cgroups; "
    remove += "cgroups._kill_all(Path(sys.argv[1])); print('done')"
    command = ["unshare", "--pid", "--fork", sys.executable, "-c", remove, str(path)]
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    with hidden_process(path):
        done = subprocess.run(command, start_new_session=True, env=environment, capture_output=True, text=True)
        assert (done.stdout, done.returncode) == ("done\n", 0)
        remove_cgroup(path)


@pytest.mark.privileged
def test_what_cannot_be_killed_is_waited_for_and_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "_kill_all", lambda _path: None)
    monkeypatch.setattr(cgroups, "_LOOKS", 3)
    path = make_cgroup(name)
    child = subprocess.Popen(["sleep", "60"])
    try:
        (path / "cgroup.procs").write_text(str(child.pid))
        with pytest.raises(SnitchError, match="does not empty") as refused:
            remove_cgroup(path)
    finally:
        child.kill()
        child.wait(timeout=WAIT_S)
    assert "cgroup.procs" in refused.value.hint


@pytest.mark.privileged
def test_who_has_no_processor_for_long_kills_all_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes, but no killed process has ended."""
    clock, kill_all = iter(range(0, 1_000_000, 100)), cgroups._kill_all
    kills = [lambda _path: None, kill_all]
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(cgroups, "_kill_all", lambda path: (kills.pop(0) if kills else kill_all)(path))
    path = make_cgroup(name)
    child = subprocess.Popen(["sleep", "60"])
    (path / "cgroup.procs").write_text(str(child.pid))
    remove_cgroup(path)
    assert not path.exists()
    assert child.wait() == -9


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

    monkeypatch.setattr(procfs, "bounded", Offload(procfs.read_uid))
    monkeypatch.setattr(cgroup_paths, "_libc", Locked)
    image = make_image(cgroup_id=service.stat().st_ino)
    with closing(ProcessBuilder(NoImages())) as builder:
        process = builder.build(image, pid=1, started_ns=1, uid=1000)
    assert (process.owners, process.is_file_told) == ((), False)
    over.set()


def test_nor_is_it_for_a_process_that_is_read_from_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    over = Event()
    monkeypatch.setattr(procfs, "bounded", Offload(procfs.read_uid))
    monkeypatch.setattr(procfs_image, "read_cgroup_id", lambda _path: over.wait())
    own = procfs.read_process(os.getpid())
    assert own
    assert image_of(own).cgroup_id == 0
    over.set()
