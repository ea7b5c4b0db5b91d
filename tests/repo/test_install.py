"""`make install` and `make uninstall`, into a folder that takes the place of /."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.repo.tree import ROOT

SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
UNITS = ("etc/systemd/system/tinysnitchd.service", "etc/systemd/user/tinysnitch-prompt.service")


def run(word: str, staging: Path, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DESTDIR": str(staging)}
    return subprocess.run([root / "packaging/install.sh", word], env=environment, capture_output=True, text=True)


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """One that is root's alone, as it should be; ours may be anybody's."""
    root = tmp_path / "clone"
    shutil.copytree(ROOT / "packaging", root / "packaging")
    (root / "src").mkdir()
    (root / ".venv/bin").mkdir(parents=True)
    for script in SCRIPTS:
        (root / ".venv/bin" / script).write_text("")
    return root


@pytest.mark.privileged
def test_what_is_installed_is_taken_away(clone: Path, tmp_path: Path) -> None:
    staging = tmp_path / "staging"
    (staging / "usr/local/bin").mkdir(parents=True)
    (staging / "usr/local/bin/tinysnitch-of-others").symlink_to("/elsewhere/tinysnitch")
    before = files_below(staging)
    done = run("install", staging, clone)
    assert done.returncode == 0, done.stderr
    assert files_below(staging) == sorted([*before, *UNITS, *(f"usr/local/bin/{script}" for script in SCRIPTS)])
    assert (staging / "usr/local/bin/tinysnitchd").readlink() == clone / ".venv/bin/tinysnitchd"
    assert run("uninstall", staging, clone).returncode == 0
    assert files_below(staging) == before


@pytest.mark.privileged
@pytest.mark.parametrize("part", ["src", ".venv/bin/tinysnitchd", "."])
def test_what_others_can_change_is_not_installed_for_root(clone: Path, tmp_path: Path, part: str) -> None:
    os.chown(clone / part, 65534, 65534)
    refused = run("install", tmp_path / "staging", clone)
    assert refused.returncode == 1
    assert f"others than root can change {(clone / part).resolve()}," in refused.stderr
    assert "tinysnitch: hint: " in refused.stderr
    assert not (tmp_path / "staging").exists()


@pytest.mark.parametrize("unit", sorted((ROOT / "packaging").glob("*.service")), ids=lambda unit: unit.name)
def test_a_unit_starts_what_is_installed(unit: Path) -> None:
    started = re.findall(r"^Exec\w+=(?:/usr/bin/env |/usr/local/bin/)(\S+)", unit.read_text(), re.MULTILINE)
    assert len(started) == unit.read_text().count("\nExec")
    assert set(started) <= SCRIPTS.keys()
