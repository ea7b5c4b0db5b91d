"""A file maps to what was compiled, or to nothing."""

import os
import resource
import shutil
from pathlib import Path

import pytest

import tinysnitch
from tinysnitch.core.model.flow import parse_address
from tinysnitch.core.rules.list_entries import BadLine
from tinysnitch.store.compiled_list import compile_list, map_compiled, save_compiled, sum_of_reader
from tinysnitch.store.file_stamp import read_stamp

TEXT = "# source: https://lists.test/ads\nads.test\n198.51.100.0/24\n192.0.2.7\n? ?\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "ads"
    path.write_text(TEXT)
    return path


@pytest.fixture
def target(source: Path) -> Path:
    path = source.with_name("ads.compiled")
    save_compiled(compile_list(source), path)
    return path


def test_a_mapped_list_is_the_one_that_was_saved(source: Path, target: Path) -> None:
    found = map_compiled(target)
    assert found is not None
    assert found.summary == compile_list(source).summary
    assert found.remotes.has_name("x.ads.test")
    assert found.remotes.has_address(parse_address("198.51.100.9"))
    assert not found.remotes.has_name("test")


def test_the_summary(source: Path) -> None:
    summary = compile_list(source).summary
    assert (summary.names, summary.addresses, summary.networks, summary.bad_lines) == (1, 1, 1, 1)
    assert summary.bad_examples == (BadLine(5, "? ?"),)
    assert summary.source == "https://lists.test/ads"
    assert summary.stamp == read_stamp(source)


@pytest.mark.parametrize("part", ["core/rules/list_entries.py", "core/model/domain.py", "store/remote_set.py"])
def test_a_build_that_may_read_a_list_otherwise_has_another_sum(tmp_path: Path, part: str) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    for copy in (before, after):
        shutil.copytree(Path(tinysnitch.__file__).parent, copy, ignore=shutil.ignore_patterns("*.pyc"))
    with (after / part).open("a") as file:
        file.write("# changed\n")
    assert sum_of_reader(before) == sum_of_reader()
    assert sum_of_reader(after) != sum_of_reader()


def test_a_list_without_anything_is_one(tmp_path: Path) -> None:
    (tmp_path / "none").write_text("")
    save_compiled(compile_list(tmp_path / "none"), tmp_path / "none.compiled")
    found = map_compiled(tmp_path / "none.compiled")
    assert found is not None
    assert not found.remotes.has_name("ads.test")


def test_a_file_that_is_not_whole_is_none(target: Path) -> None:
    whole, descriptors = target.read_bytes(), os.listdir("/proc/self/fd")
    for cut in (0, 10, 100, len(whole) // 2, len(whole) - 1):
        target.write_bytes(whole[:cut])
        assert map_compiled(target) is None
    for place in range(0, len(whole), 7):
        target.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        found = map_compiled(target)
        assert found is None or found.remotes.has_name("ads.test")
    target.unlink()
    assert map_compiled(target) is None
    assert os.listdir("/proc/self/fd") == descriptors


def test_a_pipe_in_its_place_keeps_nobody_waiting(target: Path) -> None:
    target.unlink()
    os.mkfifo(target)
    assert map_compiled(target) is None


def test_a_link_in_its_place_is_not_followed(target: Path) -> None:
    target.rename(target.with_suffix(".elsewhere"))
    target.symlink_to(target.with_suffix(".elsewhere"))
    assert map_compiled(target) is None


def test_what_is_mapped_outlives_its_file(target: Path) -> None:
    found = map_compiled(target)
    target.unlink()
    assert found is not None
    assert found.remotes.has_name("ads.test")


def test_a_disk_that_fills_up_anywhere_keeps_the_old_one(source: Path, target: Path) -> None:
    """A limit on the size of files stands for the full disk (setrlimit(2)): write(2) may write a part."""
    compiled, old = compile_list(source), target.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        for room in range(len(old)):
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
            with pytest.raises(OSError, match="File too large"):
                save_compiled(compiled, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert target.read_bytes() == old
    assert [path.name for path in sorted(source.parent.iterdir())] == ["ads", "ads.compiled"]


def test_a_folder_that_is_not_there_keeps_the_old_one(source: Path, target: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        save_compiled(compile_list(source), source.parent / "none" / "ads")
    assert [path.name for path in sorted(source.parent.iterdir())] == ["ads", "ads.compiled"]
