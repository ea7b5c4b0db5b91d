"""Every command has help that works, and is documented; every make target that the README names exists."""

import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from tests.repo.tree import ROOT
from tinysnitch import __version__

pytestmark = pytest.mark.slow

SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"].get("scripts", {})
CONTRACT = {"tinysnitchd", "tinysnitch", "tinysnitch-trace", "tinysnitch-iptables-add", "tinysnitch-iptables-remove"}
SUBCOMMANDS = [
    "status",
    "doctor",
    "rules",
    "lists",
    "log",
    "top",
    "history",
    "names",
    "learned",
    "asks",
    "answer",
    "undo",
    "pause",
    "resume",
    "mode",
    "explain",
    "import",
    "prompt",
    "run",
]
BIN = Path(sys.executable).parent


@cache
def documentation() -> str:
    return "\n".join(path.read_text() for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))])


def read_help(*command: str) -> str:
    done = subprocess.run([str(BIN / command[0]), *command[1:], "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_commands_of_the_contract_are_there() -> None:
    assert SCRIPTS.keys() >= CONTRACT


@pytest.mark.parametrize("command", sorted(SCRIPTS))
def test_every_command_has_help_and_is_documented(command: str) -> None:
    assert "usage" in read_help(command).lower()
    assert re.search(rf"\b{re.escape(command)}\b", documentation())


@pytest.mark.parametrize("subcommand", SUBCOMMANDS)
def test_every_subcommand_has_help_with_an_example_and_is_documented(subcommand: str) -> None:
    told = read_help("tinysnitch", subcommand)
    assert "--socket" in told or subcommand in ("rules", "import")
    assert f"tinysnitch {subcommand}" in told
    assert f"tinysnitch {subcommand}" in documentation()


def test_every_flag_of_the_daemon_is_documented() -> None:
    flags = re.findall(r"--[a-z][a-z-]+", read_help("tinysnitchd"))
    assert sorted(flag for flag in set(flags) if flag not in documentation()) == []


def test_help_fits_a_terminal_of_80_columns() -> None:
    for words in [[command] for command in SCRIPTS] + [["tinysnitch", subcommand] for subcommand in SUBCOMMANDS]:
        assert [line for line in read_help(*words).splitlines() if len(line) > 80] == []


def test_make_targets_that_are_documented_exist_and_explain_themselves() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    named = set(re.findall(r"`?\bmake ([a-z][a-z-]*)", documentation()))
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    assert set(phony.group(1).split()) == targets
    assert named <= targets
    assert {"run", "test", "setup"} <= named


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert re.search(r"^make test\b", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert re.search(r"^make test\b", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)


def test_the_changelog_knows_this_version() -> None:
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
