"""`make setup` where there is no apt-get: what was installed by hand is used, what is missing is named."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.repo.tree import ROOT

NEEDED = ("clang", "iptables", "ip6tables", "setsid")
SHELL = ("bash", "dirname", "mkdir")


def write_command(path: Path, text: str = "") -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """With all that is needed in `bin`, and an environment whose Python tells what it was to do."""
    root = tmp_path / "clone"
    shutil.copytree(ROOT / "packaging", root / "packaging")
    (root / ".venv/bin").mkdir(parents=True)
    write_command(root / ".venv/bin/python", f'echo "$@" >>{root / "done"}')
    (root / "bin").mkdir()
    for command in NEEDED:
        write_command(root / "bin" / command)
    for command in SHELL:
        (root / "bin" / command).symlink_to(shutil.which(command) or command)
    return root


def set_up(clone: Path, word: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [clone / "packaging/setup.sh", word], env={"PATH": str(clone / "bin")}, capture_output=True, text=True
    )


@pytest.mark.parametrize(("word", "extra"), [("run", "."), ("window", ".[gui]")])
def test_what_is_there_is_used(clone: Path, word: str, extra: str) -> None:
    done = set_up(clone, word)
    assert done.returncode == 0, done.stderr
    assert (clone / "done").read_text().endswith(f" --editable {extra}\n")


@pytest.mark.parametrize("command", NEEDED)
def test_what_is_missing_is_named_with_the_packages_that_have_it(clone: Path, command: str) -> None:
    (clone / "bin" / command).unlink()
    done = set_up(clone, "run")
    assert done.returncode == 1
    error, hint = done.stderr.splitlines()
    assert error == f"tinysnitch: error: these are missing, and there is no apt-get to install them: {command}"
    assert "dnf install" in hint
    assert "pacman -S" in hint
    assert not (clone / "done").exists()


def test_what_pip_says_is_shown(clone: Path) -> None:
    """No compiler for C++ can be installed where a package has no compiled form."""
    write_command(clone / ".venv/bin/python", '[ "$1" = -c ] || { echo Failed building wheel; exit 1; }')
    done = set_up(clone, "run")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "Failed building wheel"


def test_the_tests_packages_are_debian_s(clone: Path) -> None:
    done = set_up(clone, "test")
    assert done.returncode == 1
    assert done.stderr.startswith("tinysnitch: error: no apt-get here\n")
    assert not (clone / "done").exists()
