"""hatch_build.py makes what is missing or older than its sources, and nothing else."""

import os
from pathlib import Path

import pytest

import hatch_build

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("age", "is_fresh"), [(-10, False), (0, True), (10, True)])
def test_only_what_is_older_than_a_source_is_made_again(tmp_path: Path, age: int, is_fresh: bool) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.touch()
    target.touch()
    os.utime(source, (1000, 1000))
    os.utime(target, (1000 + age, 1000 + age))
    assert hatch_build.is_fresh(target, (source,)) is is_fresh
    assert not hatch_build.is_fresh(tmp_path / "missing", (source,))


@pytest.mark.parametrize("folder", ["objects", "my öbjects", "100%"])
def test_an_object_keeps_its_btf_and_loses_its_debug_information(tmp_path: Path, folder: str) -> None:
    target = tmp_path / folder / "process.bpf.o"
    hatch_build.compile_object(hatch_build.SOURCES / "programs/process.bpf.c", target)
    raw = target.read_bytes()
    assert b".BTF.ext" in raw
    assert b".debug_info" not in raw
    assert list(target.parent.iterdir()) == [target]


def test_a_source_that_does_not_compile_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "bad.bpf.c"
    source.write_text("int broken(\n")
    with pytest.raises(SystemExit, match=r"bad\.bpf\.c"):
        hatch_build.compile_object(source, tmp_path / "objects" / "bad.bpf.o")
    assert list((tmp_path / "objects").iterdir()) == []


WARNED = "static int unused;\n"


def test_a_warning_is_an_error_with_the_clang_that_we_test_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hatch_build, "PREFERRED_CLANG", Path(hatch_build.find_clang()).name)
    (tmp_path / "warned.bpf.c").write_text(WARNED)
    with pytest.raises(SystemExit, match="Wunused-variable"):
        hatch_build.compile_object(tmp_path / "warned.bpf.c", tmp_path / "warned.bpf.o")


def test_a_warning_is_no_error_with_a_newer_clang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Newer versions know further warnings: nothing could be built on the next distribution."""
    (tmp_path / "clang-98").symlink_to(hatch_build.find_clang())
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "warned.bpf.c").write_text(WARNED)
    hatch_build.compile_object(tmp_path / "warned.bpf.c", tmp_path / "warned.bpf.o")
    assert (tmp_path / "warned.bpf.o").exists()


def test_a_missing_clang_is_an_error_with_a_hint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="hint: apt install clang"):
        hatch_build.find_clang()
