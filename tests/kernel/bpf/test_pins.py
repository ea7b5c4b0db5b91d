"""A folder of pins is filled wholly or not at all, and errors say why."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bpf.bpf_place import BpfPlace
from tests.kernel.bpf.test_programs import wait_detached
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.scope import Scope
from tinysnitch.kernel.bpf import pins as bpf_pins
from tinysnitch.kernel.bpf import pins as bpffs
from tinysnitch.kernel.bpf import programs as bpf_programs
from tinysnitch.kernel.bpf.objects import MAPS
from tinysnitch.kernel.bpf.pins import PinFolder, list_folder, opened_cgroup, remove_folder
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.proc.mounts import parse_mounts

pytestmark = pytest.mark.privileged


@pytest.mark.parametrize(("scope", "last"), [(Scope.MACHINE, "on_connect4"), (Scope.COMMAND, "on_receive")])
def test_a_set_is_complete_until_one_pin_is_gone(place: BpfPlace, scope: Scope, last: str) -> None:
    place.load(scope)
    (path,) = place.pin_dir.iterdir()
    folder = PinFolder(path)
    assert folder.is_complete(scope)
    folder.link_path(last).unlink()
    assert not folder.is_complete(scope)
    folder.remove()
    folder.remove()
    assert list_folder(place.pin_dir) == []


def test_each_pinned_map_is_asked_for(place: BpfPlace) -> None:
    place.load()
    (path,) = place.pin_dir.iterdir()
    assert {pin.name for pin in (path / "maps").iterdir()} == set(MAPS)


def test_a_failure_half_way_leaves_nothing(place: BpfPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last cgroup program does not exist: by then all else is loaded, pinned and attached."""
    monkeypatch.setitem(bpf_pins.PROGRAMS, "accept", ("on_getpeername4", "on_nothing"))
    with pytest.raises(SnitchError, match="on_nothing"):
        BpfPrograms.load(place.pin_dir, place.cgroup, place.read_netns_cookie(), Scope.MACHINE)
    wait_detached(place.cgroup)
    assert not place.pin_dir.exists()


def test_what_another_user_made_in_its_place_is_put_aside(place: BpfPlace, tmp_path: Path) -> None:
    """Nothing is deleted through links in it."""
    (tmp_path / "precious").touch()
    (place.pin_dir / "x").mkdir(parents=True)
    (place.pin_dir / "x" / "links").symlink_to(tmp_path)
    os.chown(place.pin_dir, 65534, 65534)
    bpf_pins.remove_all_pins(place.pin_dir)
    programs = BpfPrograms.load(place.pin_dir, place.cgroup, place.read_netns_cookie(), Scope.MACHINE)
    programs.remove()
    assert not place.pin_dir.exists()
    assert (tmp_path / "precious").exists()
    (aside,) = place.pin_dir.parent.glob(f"{place.pin_dir.name}-*")
    assert (aside / "x" / "links").is_symlink()


@pytest.mark.parametrize("is_dangling", [False, True])
def test_a_link_in_its_place_is_put_aside(place: BpfPlace, tmp_path: Path, is_dangling: bool) -> None:
    place.pin_dir.symlink_to(tmp_path / "nothing" if is_dangling else tmp_path)
    bpf_pins.remove_all_pins(place.pin_dir)
    place.load()
    assert place.pin_dir.is_dir()
    assert not place.pin_dir.is_symlink()


def test_a_set_that_cannot_be_opened_does_not_stay(place: BpfPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_folder: PinFolder) -> None:
        raise SnitchError("opening the maps: Too many open files")

    monkeypatch.setattr(bpf_programs, "BpfMaps", refuse)
    with pytest.raises(SnitchError, match="opening the maps"):
        BpfPrograms.load(place.pin_dir, place.cgroup, place.read_netns_cookie(), Scope.MACHINE)
    wait_detached(place.cgroup)
    assert not place.pin_dir.exists()


def test_a_cgroup_that_is_none_is_named(place: BpfPlace) -> None:
    with pytest.raises(SnitchError, match="nothing-here"):
        BpfPrograms.load(place.pin_dir, place.cgroup / "nothing-here", 1, Scope.MACHINE)


def test_a_folder_outside_of_a_bpffs_is_refused(place: BpfPlace, tmp_path: Path) -> None:
    with pytest.raises(SnitchError) as caught:
        BpfPrograms.load(tmp_path / "pins", place.cgroup, place.read_netns_cookie(), Scope.MACHINE)
    assert caught.value.hint
    assert not (tmp_path / "pins").exists()


def test_folders_that_are_gone_or_in_use_are_left(tmp_path: Path) -> None:
    (tmp_path / "full" / "pin").mkdir(parents=True)
    remove_folder(tmp_path / "full")
    remove_folder(tmp_path / "gone")
    assert list_folder(tmp_path) == [tmp_path / "full"]
    assert list_folder(tmp_path / "gone") == []


@pytest.mark.parametrize(("name", "why"), [("file", "Not a directory"), ("nothing", "No such file or directory")])
def test_what_is_no_cgroup_is_named(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SnitchError, match=f"^{tmp_path / name}: {why}$") as refused, opened_cgroup(tmp_path / name):
        pass
    assert "--cgroup" in refused.value.hint


SOURCE = Path(__file__).parents[3] / "src"


@pytest.mark.parametrize(
    ("mounts", "is_mounted"),
    [
        ("bpf /sys/fs/bpf bpf rw 0 0\n", True),
        ("proc /proc proc rw 0 0\n", False),
        ("bpf /elsewhere bpf rw 0 0\n", False),
        ("tmpfs /sys/fs/bpf tmpfs rw 0 0\n", False),
    ],
)
def test_only_a_bpffs_at_its_place_counts(monkeypatch: pytest.MonkeyPatch, mounts: str, is_mounted: bool) -> None:
    monkeypatch.setattr(bpffs, "read_mounts", lambda: parse_mounts(mounts))
    assert bpffs.is_mounted() is is_mounted


def run_without_bpffs(script: str) -> None:
    """Run the script in a mount namespace of its own."""
    script = (
        f"import os, sys; sys.path.insert(0, {str(SOURCE)!r}); from tinysnitch.kernel.bpf import pins as b\n{script}"
    )
    command = 'while umount /sys/fs/bpf 2>/dev/null; do :; done; exec "$@"'
    subprocess.run(["unshare", "--mount", "sh", "-c", command, "sh", sys.executable, "-c", script], check=True)


@pytest.mark.privileged
def test_it_comes_once_and_goes_when_empty() -> None:
    run_without_bpffs(
        "b.mount_bpffs(); b.mount_bpffs(); assert b.is_mounted()\n"
        "pin = b.MOUNT_POINT / 'somebody'; pin.mkdir(); b.unmount_bpffs(); assert b.is_mounted()\n"
        "pin.rmdir(); b.unmount_bpffs(); assert not b.is_mounted(); b.unmount_bpffs()\n"
    )


@pytest.mark.privileged
def test_what_a_killed_daemon_mounted_goes_with_its_successor() -> None:
    run_without_bpffs(
        "if os.fork() == 0: b.mount_bpffs(); os._exit(0)\n"
        "os.wait(); b.mount_bpffs(); b.unmount_bpffs(); assert not b.is_mounted()\n"
    )


@pytest.mark.privileged
def test_what_others_mounted_or_work_in_stays() -> None:
    run_without_bpffs(
        "b.mount_bpffs(); os.chdir(b.MOUNT_POINT); b.unmount_bpffs(); assert b.is_mounted()\n"
        "os.chdir('/'); b.unmount_bpffs(); assert not b.is_mounted()\n"
        "os.system('mount -t bpf bpf /sys/fs/bpf'); b.mount_bpffs(); b.unmount_bpffs(); assert b.is_mounted()\n"
    )
