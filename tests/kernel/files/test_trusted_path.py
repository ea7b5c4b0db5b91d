import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tinysnitch.kernel.files import trusted_path
from tinysnitch.kernel.files.trusted_path import may_climb, resolve_file
from tinysnitch.kernel.system.clock import read_boot_ns


@pytest.mark.parametrize("path", ["", "memfd:x", "/a\0b", "/\udcff"])
def test_paths_that_are_none(path: str) -> None:
    assert resolve_file(path) is None


def test_links_of_root_are_followed(tmp_path: Path) -> None:
    script = tmp_path / "folder" / "script"
    script.parent.mkdir()
    script.write_text("")
    (tmp_path / "link").symlink_to("folder/../folder/script")
    (tmp_path / "absolute").symlink_to(tmp_path / "link")
    assert resolve_file(str(tmp_path / "absolute")) == str(script)
    assert resolve_file(f"{tmp_path}//./folder/script") == str(script)
    assert resolve_file(str(tmp_path / "folder")) is None
    assert resolve_file(str(tmp_path / "missing")) is None


@pytest.mark.privileged
def test_a_link_of_another_user_counts_for_nothing(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/bin/sh")
    assert resolve_file(str(link)) == os.path.realpath("/bin/sh")
    os.lchown(link, 1000, 1000)
    assert resolve_file(str(link)) is None


@pytest.mark.privileged
def test_a_link_of_the_programs_user_counts_where_it_leads_to_a_file_of_theirs(tmp_path: Path) -> None:
    """As pipx and npm make them in a home. Whoever may change the link may write the file, but not date it back."""
    script, link = tmp_path / "script", tmp_path / "link"
    script.write_text("")
    link.symlink_to(script)
    os.lchown(link, 1000, 1000)
    now_ns = read_boot_ns()
    assert resolve_file(str(link), 1000, now_ns) is None
    os.chown(script, 1000, 1000)
    assert resolve_file(str(link), 1000, now_ns) == str(script)
    assert [resolve_file(str(link), uid, now_ns) for uid in (0, 1001)] == [None, None]
    assert resolve_file(str(link), 1000, 0) is None  # of whose start nothing is known
    time.sleep(0.02)  # the clock of files is a tick behind: inode(7)
    link.rename(tmp_path / "new")
    assert resolve_file(str(tmp_path / "new"), 1000, now_ns) is None  # turned since
    assert resolve_file(str(tmp_path / "new"), 1000, read_boot_ns()) == str(script)
    os.chown(script, 1001, 1001)
    assert resolve_file(str(tmp_path / "new"), 1000, read_boot_ns()) is None


@pytest.mark.privileged
def test_one_link_of_another_user_spoils_a_way_to_a_file_of_ones_own(tmp_path: Path) -> None:
    script, link = tmp_path / "script", tmp_path / "link"
    script.write_text("")
    os.chown(script, 1000, 1000)
    link.symlink_to(script)
    os.lchown(link, 1001, 1001)
    assert resolve_file(str(link), 1000, read_boot_ns()) is None


@pytest.mark.privileged
def test_a_way_over_a_link_of_ones_own_leads_to_no_file_of_roots_whatever_links_follow(tmp_path: Path) -> None:
    """Over root's links alone, which all users' paths lead over, it does."""
    script, roots, own = tmp_path / "script", tmp_path / "roots", tmp_path / "own"
    script.write_text("")
    roots.symlink_to(script)
    own.symlink_to(roots)
    os.lchown(own, 1000, 1000)
    now_ns = read_boot_ns()
    assert resolve_file(str(own), 1000, now_ns) is None
    assert [resolve_file(str(way), 1000, now_ns) for way in (script, roots)] == [str(script)] * 2


def test_a_way_of_as_many_parts_as_are_followed(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["x"] * (trusted_path._MAX_PARTS - len(tmp_path.parts)))
    script, too_far = folder / "script", folder / "x" / "script"
    too_far.parent.mkdir(parents=True)
    for each in (script, too_far):
        each.write_text("")
    assert [resolve_file(str(each)) for each in (script, too_far)] == [str(script), None]


def test_links_that_lead_through_tens_of_thousands_of_folders_are_not_followed(tmp_path: Path) -> None:
    """The kernel would follow these in 12 ms; here it would take a second, for each ancestor too."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "0").write_text("")
    for number in range(1, 40):
        (tmp_path / str(number)).symlink_to(f"{'folder/../' * 400}{number - 1}")
    assert resolve_file(str(tmp_path / "1")) is None
    before_s = time.thread_time()
    assert resolve_file(str(tmp_path / "39")) is None
    assert time.thread_time() - before_s < 0.1


def test_links_without_end_and_into_proc(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "self").symlink_to("/proc/self/exe")
    assert resolve_file(str(tmp_path / "loop")) is None
    assert resolve_file(str(tmp_path / "self")) is None
    assert resolve_file("/dev/fd/0") is None


@contextmanager
def mounted(place: Path, *words: str) -> Iterator[None]:
    subprocess.run(["mount", *words, place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.privileged
@pytest.mark.parametrize("words", [("--bind", "/proc"), ("-t", "proc", "proc")])
def test_proc_is_not_followed_wherever_it_is_mounted(tmp_path: Path, words: tuple[str, ...]) -> None:
    """`self/cwd` is the daemon's own folder to the daemon, and the program's to the program. Since Linux 5.8 each mount
    of proc is a file system of its own."""
    with mounted(tmp_path, *words):
        assert resolve_file(f"{tmp_path}/self/root/bin/sh") is None


# What a user mounts by udisks or FUSE has `nosuid`, and owners of their choice. tmpfs they cannot mount; it has
# `nosuid` at /run, where NixOS has a link that all paths lead over.
@pytest.mark.privileged
@pytest.mark.parametrize(
    ("file_system", "options", "counts"),
    [("ramfs", "mode=755", True), ("ramfs", "mode=755,nosuid", False), ("tmpfs", "mode=755,nosuid", True)],
)
def test_roots_links_and_folders_count_where_users_cannot_mount(
    tmp_path: Path, file_system: str, options: str, counts: bool
) -> None:
    place = tmp_path / "disk"
    place.mkdir()
    tmp_path.chmod(0o755)
    (tmp_path / "script").write_text("")
    with mounted(place, "-t", file_system, "-o", options, "none"):
        (place / "link").symlink_to("/bin/sh")
        (place / "folder").mkdir(mode=0o755)
        (place / "script").write_text("")
        assert resolve_file(str(place / "script")) == str(place / "script")
        assert resolve_file(str(place / "link")) == (os.path.realpath("/bin/sh") if counts else None)
        assert may_climb(1000, [str(place / "folder"), str(place)], str(tmp_path / "script")) is counts
        for name in ("script", "link"):  # what is the user's own counts, who may mount it or not
            (place / name).unlink()
        (place / "link").symlink_to("script")
        (place / "script").write_text("")
        for name in ("script", "link"):
            os.chown(place / name, 1000, 1000, follow_symlinks=False)
        assert resolve_file(str(place / "link"), 1000, read_boot_ns()) == str(place / "script")


@pytest.mark.privileged
def test_what_may_have_been_above_a_folder(tmp_path: Path) -> None:
    """From root's folders `..` is safe; and a user's own script may be run from anywhere."""
    script, inner = tmp_path / "script", tmp_path / "a" / "b"
    script.write_text("")
    inner.mkdir(parents=True)
    left = [str(inner), str(inner.parent)]
    assert may_climb(1000, left, str(script))
    assert not may_climb(1000, left, str(tmp_path / "missing"))
    assert not may_climb(1000, left, "/a\0b")
    for mode in (0o775, 0o757, 0o1777):
        tmp_path.chmod(mode)
        assert not may_climb(1000, left, str(script))
    assert may_climb(0, left, str(script))
    tmp_path.chmod(0o755)
    os.chown(inner.parent, 1000, 1000)
    assert not may_climb(1001, left, str(script))
