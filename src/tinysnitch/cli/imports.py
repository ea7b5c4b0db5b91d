"""`tinysnitch import`: prints the rules of another firewall as lines for a group. It loads nothing."""

from collections.abc import Iterable
from pathlib import Path

import click

from tinysnitch.cli.command_group import CommandGroup
from tinysnitch.cli.options import NamedFolder, examples, json_option
from tinysnitch.cli.rules import read_file
from tinysnitch.commandline.named_path import NamedPath
from tinysnitch.commandline.notes import print_note
from tinysnitch.core.imports.draft import Draft
from tinysnitch.core.imports.group_lines import write_group
from tinysnitch.core.imports.lsrules import parse_lsrules
from tinysnitch.core.imports.opensnitch import parse_opensnitch
from tinysnitch.core.imports.ufw import parse_ufw
from tinysnitch.core.model.errors import NotPermitted, SnitchError
from tinysnitch.output.lines import print_entry, print_lines

_NAME_IT = "name a file that can be read, or - for stdin"
_TO_GROUP = (
    "tinysnitch import ufw /etc/ufw/user.rules > ufw.rules",
    "sudo install -m 600 ufw.rules /etc/tinysnitch.d/ufw.rules.off",
    "sudo tinysnitch rules enable ufw",
)


class _OpenSnitchFolder(NamedFolder):
    usual = "/etc/opensnitchd/rules"


class _UfwFile(NamedPath):
    usual = "/etc/ufw/user.rules"


@click.group("import", cls=CommandGroup, epilog=examples(*_TO_GROUP))
def import_group() -> None:
    """Print the rules of another firewall as lines for a group.

    What ours cannot say is a comment that tells why. Nothing is loaded: look at the lines, keep what you want as a
    group, and enable that.
    """


@import_group.command(
    "opensnitch",
    epilog=examples(
        "tinysnitch import opensnitch /etc/opensnitchd/rules > old.rules",
        "tinysnitch import opensnitch --json /etc/opensnitchd/rules | jq 'select(.rule == null)'",
    ),
)
@json_option
@click.argument("folder", metavar="DIR", type=_OpenSnitchFolder())
def _opensnitch_command(folder: Path, as_json: bool) -> None:
    """Print the rules of OpenSnitch in DIR, one JSON file each."""
    files = {str(path): read_file(str(path), _NAME_IT) for path in _find_json(folder)}
    if not files:
        raise SnitchError(
            f"there is no JSON file in {folder}", f"OpenSnitch has its rules in {_OpenSnitchFolder.usual}"
        )
    _print_group(str(folder), parse_opensnitch(files), as_json=as_json)


def _find_json(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except PermissionError as error:
        raise NotPermitted(f"cannot read {folder}: {error.strerror}", "run it as root or as its owner") from error
    except OSError as error:
        raise SnitchError(f"cannot read {folder}: {error.strerror}", "name a folder with rules") from error


@import_group.command("lsrules", epilog=examples("tinysnitch import lsrules blocked.lsrules > blocked.rules"))
@json_option
@click.argument("file", type=NamedPath())
def _lsrules_command(file: str, as_json: bool) -> None:
    """Print the rules of Little Snitch in FILE, as it exports them.

    FILE may be - for standard input.
    """
    _print_group(file, parse_lsrules(file, read_file(file, _NAME_IT)), as_json=as_json)


@import_group.command("ufw", epilog=examples("tinysnitch import ufw /etc/ufw/user.rules > ufw.rules"))
@json_option
@click.argument("file", type=_UfwFile())
def _ufw_command(file: str, as_json: bool) -> None:
    """Print the rules of ufw in FILE.

    FILE is /etc/ufw/user.rules, user6.rules, or - for standard input. What ufw does by default is not in it: what no
    line covers is asked about.
    """
    _print_group(file, parse_ufw(file, read_file(file, _NAME_IT)), as_json=as_json)


def _print_group(source: str, found: Iterable[Draft | tuple[str, str]], *, as_json: bool) -> None:
    group = write_group(source, found)
    if as_json:
        for imported in group.found:
            print_entry(imported)
    else:
        print_lines(group.lines)
    if group.left:
        told = "`rule` is null, and `remarks` say why" if as_json else "the last comments say why"
        print_note(f"{group.left} of {group.taken + group.left} rules did not come over: {told}")
