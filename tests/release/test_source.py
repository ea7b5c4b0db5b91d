"""A release's wheel: what it holds, and that the same commit makes the same bytes wherever it is built."""

import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from release.source import build_wheel, export_commit, run_git
from tests.repo.tree import ROOT, relative, tracked

pytestmark = pytest.mark.slow
COMMITTED_S = 1_700_000_000
VERSION = re.search(r'^__version__ = "(.+)"$', (ROOT / "src/tinysnitch/__init__.py").read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with one commit, of the files as they are now."""
    clone = tmp_path_factory.mktemp("clone")
    for path in tracked():
        target = clone / relative(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    subprocess.run(["git", "init", "-q", clone], check=True)
    run_git(clone, "add", "--all")
    dates = {"GIT_AUTHOR_DATE": f"{COMMITTED_S} +0000", "GIT_COMMITTER_DATE": f"{COMMITTED_S} +0000"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in dates.items():
            patch.setenv(name, value)
        run_git(clone, "-c", "user.name=a", "-c", "user.email=a@b.test", "commit", "-qm", "all")
    return clone


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first")
    return build_wheel(export_commit(repository, folder / "source"), folder)


def test_the_wheel_brings_all_that_was_compiled_and_runs_on_any_machine(wheel: Path) -> None:
    assert VERSION
    assert wheel.name == f"tinysnitch-{VERSION[1]}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f"tinysnitch-{VERSION[1]}.dist-info/METADATA").decode()
    programs = {path.name.removesuffix(".c") for path in (ROOT / "bpf").rglob("*.bpf.c")}
    bpf = "tinysnitch/kernel/bpf"
    assert {f"{bpf}/compiled/{name}.o" for name in programs} <= names
    assert {f"{bpf}/_libbpf_abi.py", f"{bpf}/layout.py", "tinysnitch/core/prompts/programs.toml"} <= names
    assert not [name for name in names if name.endswith((".so", ".pyc", ".c", ".unfinished"))]
    of_ours = {"tinysnitch", *(f"tinysnitch-{VERSION[1]}.{part}" for part in ("dist-info", "data"))}
    assert {name.partition("/")[0] for name in names} == of_ours
    share = f"tinysnitch-{VERSION[1]}.data/data/share"
    assert {f"{share}/man/man1/tinysnitch.1", f"{share}/bash-completion/completions/tinysnitch"} <= names
    assert "License-Expression: GPL-2.0-or-later\n" in metadata


def test_the_same_commit_makes_the_same_bytes_in_another_folder(repository: Path, wheel: Path, tmp_path: Path) -> None:
    (repository / "not-committed.txt").write_text("left out")
    source = export_commit(repository, tmp_path / "a longer path" / "source")
    assert source.committed_s == COMMITTED_S
    assert not (source.folder / "not-committed.txt").exists()
    again = build_wheel(source, tmp_path)
    assert again.read_bytes() == wheel.read_bytes()


def test_what_is_no_clone_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="hint: a release is made of a commit"):
        export_commit(tmp_path, tmp_path / "source")
