"""Every command has help that works, and is documented; every command and make target that pages name exists."""

import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import click
import pytest

from tests.repo.tree import ROOT, relative, tracked
from tinysnitch import __version__
from tinysnitch.cli.main import tinysnitch

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


def find_usage_error(words: list[str]) -> str:
    """What click says of a subcommand or an option that is not there; values may stand for others (`PROGRAM`)."""
    command: click.Command | None = tinysnitch
    with click.Context(tinysnitch, info_name="tinysnitch") as context:
        try:
            while isinstance(command, click.Group) and words and not words[0].startswith("-"):
                _name, command, words = command.resolve_command(context, words)
            assert command
            command.make_context(command.name, words, parent=context)
        except (click.BadParameter, click.exceptions.NoArgsIsHelpError):
            return ""
        except click.UsageError as error:
            return error.format_message()
    return ""


def test_every_command_that_a_page_names_is_there_with_its_options() -> None:
    named = {
        (relative(page), command): shlex.split(command.replace("[", "").replace("]", "").partition(" | ")[0])
        for page in tracked()
        if page.suffix == ".md"
        for command in re.findall(r"`(?:sudo )?tinysnitch ([^`\n]+)`", page.read_text())
    }
    wrong = [f"{where}: {problem}" for where, words in named.items() if (problem := find_usage_error(words))]
    assert not wrong, "\n".join(wrong)
    assert len(named) > 50
    assert find_usage_error(["rules", "tidy", "--no"])
    assert find_usage_error(["rulez"])


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
