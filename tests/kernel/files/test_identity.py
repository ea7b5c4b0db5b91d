""""""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.lab.patience import read_line, wait_until
from tinysnitch.kernel.files import identity as identity
from tinysnitch.kernel.files.identity import PROC_TYPE, TMPFS_TYPE, read_file_system_type
from tinysnitch.kernel.system.clock import read_boot_ns


def test_device_numbers_convert_both_ways() -> None:
    assert identity.decode_device(254 << 20 | 3) == os.makedev(254, 3)
    assert identity.decode_device(300) == os.makedev(0, 300)
    assert identity.encode_device(os.makedev(7, 70000)) == 7 << 20 | 70000


def test_the_same_file_only(tmp_path: Path) -> None:
    path = tmp_path / "program"
    path.write_text("one")
    status = path.stat()
    assert identity.is_host_file(str(path), status.st_dev, status.st_ino)
    assert not identity.is_host_file(str(path), status.st_dev + 1, status.st_ino)
    other = tmp_path / "other"
    other.write_text("two")
    other.replace(path)
    assert not identity.is_host_file(str(path), status.st_dev, status.st_ino)
    path.unlink()
    assert not identity.is_host_file(str(path), status.st_dev, status.st_ino)


def test_a_superblock_alone_does_not_tell_what_others_have_mounted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "program"
    path.write_text("")
    status = path.stat()
    monkeypatch.setattr(identity, "read_superblock_device", lambda _descriptor: status.st_dev + 1)
    before = set(os.listdir("/proc/self/fd"))
    assert identity.is_host_file(str(path), status.st_dev + 1, status.st_ino)
    assert not identity.is_host_file(str(path), status.st_dev + 1, status.st_ino, is_seen_by_all=False)
    assert identity.is_host_file(str(path), status.st_dev, status.st_ino, is_seen_by_all=False)
    assert set(os.listdir("/proc/self/fd")) <= before


_SIGHT = "-dac_override,-dac_read_search"
WITHOUT_SIGHT = ["setpriv", f"--bounding-set={_SIGHT}", f"--inh-caps={_SIGHT}"]
LOOK = """
import sys
from tinysnitch.kernel.files import identity as file_identity
path = sys.argv[1]
device = file_identity._read_closed_device(path)
print(
    file_identity.is_host_file(path, device, 1),
    file_identity.is_host_file(path, device, 1, is_seen_by_all=False),
    file_identity.is_host_file(path, device + 1, 1),
)
"""


def test_where_root_may_not_look_only_the_mount_is_compared_and_not_that_of_others(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    os.chown(closed, 65534, 65534)
    command = [*WITHOUT_SIGHT, sys.executable, "-c", LOOK, str(closed / "program")]
    assert subprocess.check_output(command, text=True).split() == ["True", "False", "False"]


@pytest.mark.parametrize("told", [77, None])
def test_the_device_of_what_a_process_runs(monkeypatch: pytest.MonkeyPatch, told: int | None) -> None:
    """The device of its superblock; None where the process does not see that mount any more."""
    monkeypatch.setattr(identity, "read_superblock_device", lambda _descriptor, _pid: told)
    before = set(os.listdir("/proc/self/fd"))
    assert identity.read_executable_device(os.getpid()) == told
    assert identity.read_executable_device(2**22 + 1) is None
    assert set(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize("path", ["", "memfd:x", "/a\0b", "/\udcff"])
def test_paths_that_are_none(path: str) -> None:
    assert not identity.is_host_file(path, 1, 1)


@pytest.mark.parametrize("inside", ["/snap", "/var/lib/snapd/snap"])
def test_the_snap_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str) -> None:
    """Also where the host has them in another folder than the snap itself."""
    program = tmp_path / "hello" / "42" / "bin" / "hello"
    program.parent.mkdir(parents=True)
    program.write_text("")
    monkeypatch.setattr(identity, "SNAP_FOLDERS", (str(tmp_path), inside))
    status = program.stat()
    assert identity.find_snap(f"{inside}/hello/42/bin/hello", status.st_dev, status.st_ino) == "hello"
    assert identity.find_snap(f"{inside}/hello/42/bin/hello", status.st_dev, status.st_ino + 1) is None
    assert identity.find_snap("/usr/bin/hello", status.st_dev, status.st_ino) is None


def is_roots_alone(path: Path) -> bool:
    return identity.is_roots_alone(str(path))


@pytest.fixture
def roots_folder() -> Iterator[Path]:
    """A folder that root alone may write, as all above it."""
    with tempfile.TemporaryDirectory(dir="/var/lib", prefix="tinysnitch-test-") as folder:
        yield Path(folder)


@pytest.mark.privileged
def test_what_root_alone_can_change(roots_folder: Path) -> None:
    program = roots_folder / "bin" / "python3"
    program.parent.mkdir(mode=0o755)
    program.write_text("")
    program.chmod(0o755)
    assert is_roots_alone(program)
    assert not any(map(is_roots_alone, (program.parent, program.with_name("none"), Path("memfd:x"), Path("/a\0b"))))
    link = roots_folder / "link"
    link.symlink_to("bin")
    assert not is_roots_alone(link / "python3")
    for place, mode in [(program, 0o775), (program, 0o757), (program.parent, 0o777), (roots_folder, 0o1777)]:
        place.chmod(mode)
        assert not is_roots_alone(program), oct(mode)
        place.chmod(0o755)
    for place in (program, program.parent):
        os.chown(place, 65534, 0)
        assert not is_roots_alone(program)
        os.chown(place, 0, 0)
    assert is_roots_alone(program)


@pytest.mark.privileged
@pytest.mark.parametrize(("options", "is_roots"), [("mode=755", True), ("mode=755,nosuid", False)])
def test_a_disk_of_a_users_has_owners_of_their_choice(roots_folder: Path, options: str, is_roots: bool) -> None:
    """As udisks mounts it: the folder above is root's, and the disk says that it is, too."""
    program = roots_folder / "python3"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", roots_folder], check=True)
    try:
        program.write_text("")
        program.chmod(0o755)
        assert is_roots_alone(program) is is_roots
    finally:
        subprocess.run(["umount", roots_folder], check=True)


@pytest.mark.privileged
def test_what_root_mounted_once_more_without_set_user_id_is_roots_still(roots_folder: Path) -> None:
    """As NixOS mounts its store."""
    program = roots_folder / "python3"
    program.write_text("")
    program.chmod(0o755)
    subprocess.run(["mount", "--bind", roots_folder, roots_folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,nosuid", roots_folder], check=True)
        assert is_roots_alone(program)
    finally:
        subprocess.run(["umount", roots_folder], check=True)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "mounted"
    place.mkdir()
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.privileged
def test_btrfs_where_stat_makes_up_the_device(tmp_path: Path, mounted: Path) -> None:
    if not shutil.which("mkfs.btrfs"):
        subprocess.run(["mount", "-t", "tmpfs", "none", mounted], check=True)
        pytest.skip("no mkfs.btrfs")
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(128 * 1024 * 1024)
    subprocess.run(["mkfs.btrfs", "-q", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, mounted], check=True)
    check_superblock(mounted / "program", differs=True)


@pytest.mark.privileged
def test_overlayfs(tmp_path: Path, mounted: Path) -> None:
    for name in ("lower", "upper", "scratch"):
        (tmp_path / name).mkdir()
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/scratch"
    subprocess.run(["mount", "-t", "overlay", "none", "-o", options, mounted], check=True)
    check_superblock(mounted / "program", differs=False)


def check_superblock(path: Path, *, differs: bool) -> None:
    """s_dev is what mountinfo prints as major:minor."""
    path.write_text("x")
    mountinfo = Path("/proc/self/mountinfo").read_text().splitlines()
    numbers = next(line.split()[2] for line in mountinfo if line.split()[4] == str(path.parent))
    device = os.makedev(*map(int, numbers.split(":")))
    assert (path.stat().st_dev != device) == differs
    with path.open() as file:
        assert identity.read_superblock_device(file.fileno()) == device
    assert identity.is_host_file(str(path), device, path.stat().st_ino)
    assert not identity.is_host_file(str(path), device, path.stat().st_ino + 1)


@pytest.mark.privileged
@pytest.mark.parametrize(("options", "is_ours"), [(["-m"], True), (["-U"], False)])
def test_a_user_namespace_of_its_own_is_noticed(options: list[str], is_ours: bool) -> None:
    with subprocess.Popen(
        ["unshare", *options, "sh", "-c", "echo; read x"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        read_line(started)
        assert identity.is_in_our_user_namespace(started.pid) == is_ours
        started.kill()
    assert not identity.is_in_our_user_namespace(started.pid)  # gone


def test_a_process_that_sees_what_we_see() -> None:
    assert identity.is_seen_alike(os.getpid(), "/bin/sh")
    assert identity.is_seen_alike(2**22 + 1, "/bin/sh")  # gone


def test_a_process_that_has_ended_and_was_not_asked_for_yet_is_gone() -> None:
    with subprocess.Popen(["true"]) as started:
        os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
        assert identity.is_seen_alike(started.pid, "/bin/sh")


@pytest.mark.privileged
def test_a_file_mounted_over_another_is_noticed(tmp_path: Path) -> None:
    trusted, other = tmp_path / "trusted", tmp_path / "other"
    trusted.write_text("")
    other.write_text("")
    command = f"mount --bind {other} {trusted}; echo; read x"
    with subprocess.Popen(
        ["unshare", "-m", "sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        read_line(started)
        assert not identity.is_seen_alike(started.pid, str(trusted))
        assert identity.is_seen_alike(started.pid, str(other))
        started.kill()


@pytest.mark.privileged
def test_a_process_whose_first_thread_has_ended_is_not_gone() -> None:
    """It may have other mounts, at which nobody can look by its pid."""
    script = "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(60,)).start()"
    script += "; ctypes.CDLL(None).pthread_exit(None)"
    with subprocess.Popen([sys.executable, "-c", script]) as started:
        wait_until(lambda: not os.path.exists(f"/proc/{started.pid}/root"))
        assert not identity.is_seen_alike(started.pid, "/bin/sh")
        started.kill()


def wait_tick() -> None:
    """Files get the time of the last clock tick: CONFIG_HZ, at least 100."""
    time.sleep(0.02)


def test_a_file_that_was_there_before_is_not_changed_be_it_for_a_moment(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / f"{number}").write_text("")
        assert not identity.is_changed_since(f"{tmp_path}/{number}", read_boot_ns())
    assert not identity.is_changed_since("/usr/bin/env", read_boot_ns())


@pytest.mark.parametrize("way", ["replaced", "rewritten", "touched back", "deleted"])
def test_a_file_that_changed_after_a_moment(tmp_path: Path, way: str) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    path.write_text("")
    other.write_text("")
    moment_ns = read_boot_ns()
    wait_tick()
    if way == "replaced":
        other.replace(path)
    elif way == "rewritten":
        path.write_text("x")
    elif way == "touched back":
        os.utime(path, (1, 1))
    else:
        path.unlink()
    assert identity.is_changed_since(str(path), moment_ns)
    assert not identity.is_changed_since(str(path), 0)


def test_the_executable_of_a_process() -> None:
    assert identity.read_executable_device(os.getpid()) is not None
    assert identity.read_executable_device(2**22 + 1) is None


def test_a_table_of_mounts_that_takes_long_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 10,000 mounts, one over the other, it takes 1.4 s: for each the kernel climbs all above it."""
    looks = count()
    monkeypatch.setattr(time, "thread_time", lambda: float(next(looks)))
    end, other_end = os.pipe()  # in no process's table
    assert identity.read_superblock_device(end) is None
    assert next(looks) == 2
    os.close(end)
    os.close(other_end)


def test_proc_has_its_type() -> None:
    assert read_file_system_type(b"/proc/self") == PROC_TYPE


@pytest.mark.privileged
def test_a_mount_has_its_type(tmp_path: Path) -> None:
    assert read_file_system_type(bytes(tmp_path.parents[-1])) != PROC_TYPE
    subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path], check=True)
    try:
        assert read_file_system_type(bytes(tmp_path)) == TMPFS_TYPE
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_what_is_not_there_has_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="No such file"):
        read_file_system_type(bytes(tmp_path / "missing"))
