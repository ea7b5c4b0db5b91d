"""The window's autostart file, against the Desktop Entry and Autostart specifications of freedesktop.org."""

import configparser
import shlex
import tomllib

from tests.repo.tree import ROOT

SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
DESKTOP_FILE = ROOT / "packaging" / "tinysnitch-prompt.desktop"
STRINGS = {"Type", "Name", "Comment", "Exec", "Icon"}
BOOLEANS = {"Terminal", "NoDisplay", "X-GNOME-Autostart-enabled"}


def read_entry() -> dict[str, str]:
    parser = configparser.RawConfigParser(delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # keys are case sensitive
    parser.read_string(DESKTOP_FILE.read_text())
    assert parser.sections() == ["Desktop Entry"]
    return dict(parser["Desktop Entry"])


def test_the_entry_is_valid_and_starts_by_itself() -> None:
    entry = read_entry()
    assert entry.keys() >= {"Type", "Name", "Exec"}
    assert entry.keys() <= STRINGS | BOOLEANS
    assert entry["Type"] == "Application"
    assert {entry[key] for key in BOOLEANS & entry.keys()} <= {"true", "false"}
    assert (entry["Terminal"], entry["X-GNOME-Autostart-enabled"]) == ("false", "true")


def test_the_entry_starts_a_command_of_ours() -> None:
    command = read_entry()["Exec"]
    assert shlex.split(command)[0] in SCRIPTS
    assert "%" not in command  # no field codes: there are no files to open
