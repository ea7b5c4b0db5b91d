"""Options that name a place: what is no path or cgroup is refused with a hint."""

import os
from pathlib import Path

import pytest

from tests.lab import cgroup
from tinysnitch.daemon.options import BadPlace, CgroupPlace, Place


def test_a_path_names_something() -> None:
    assert Place().convert("/etc/x", None, None) == Path("/etc/x")
    with pytest.raises(BadPlace, match="empty") as refused:
        Place().convert("", None, None)
    assert refused.value.hint


def test_files_and_folders_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadPlace, match=rf"^'{tmp_path}' is a directory") as refused:
        Place(dir_okay=False).convert(str(tmp_path), None, None)
    assert refused.value.hint == "name a file, not a folder"
    with pytest.raises(BadPlace, match=rf"^'{tmp_path}/file' is a file") as refused:
        Place(file_okay=False).convert(str(tmp_path / "file"), None, None)
    assert refused.value.hint == "name a folder, not a file"


def test_what_only_root_may_read_is_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_what: False)
    assert Place().convert(str(tmp_path), None, None) == tmp_path


def test_a_cgroup_is_taken() -> None:
    assert CgroupPlace().convert(str(cgroup.find_root()), None, None) == cgroup.find_root()


def test_other_folders_are_no_cgroups(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").touch()
    for place, problem in ((tmp_path, "no cgroup of version 2"), (tmp_path / "none", "no folder"), ("", "empty")):
        with pytest.raises(BadPlace, match=problem) as refused:
            CgroupPlace().convert(str(place), None, None)
        assert ("nsenter --net=" in refused.value.hint) == bool(place)


def test_a_cgroup_of_version_1_will_not_do() -> None:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    mounts = [line.split()[1] for line in lines if line.split()[2] == "cgroup"]
    if not mounts:
        pytest.skip("there is no hierarchy of version 1")
    with pytest.raises(BadPlace, match="no cgroup of version 2"):
        CgroupPlace().convert(mounts[0], None, None)
