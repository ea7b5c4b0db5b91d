import os
from pathlib import Path

import msgspec
import pytest

from tests.view.sample_prompts import CURL
from tinysnitch.client import desktop_entries
from tinysnitch.client.desktop_entries import (
    DesktopEntries,
    Starter,
    choose_entry,
    find_program,
    is_of_root,
    parse_desktop_file,
    split_command,
)
from tinysnitch.view.lookup import DesktopEntry

ENV = os.path.realpath("/usr/bin/env")  # a program that is on every machine
FILE = """# a comment
[Desktop Entry]
Type=Application
Name=Tool
Name[de]=Werkzeug
Exec={exec}
Icon={icon}

[Desktop Action new]
Name=Another
Exec=/bin/false
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of desktop files, as if it and the system's programs were root's, also where the tests are a user's."""
    real = is_of_root
    monkeypatch.setattr(
        desktop_entries, "is_of_root", lambda path: str(path).startswith(f"{tmp_path}/root") or real(path)
    )
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def write(folder: Path, name: str, command: str, icon: str = "tool") -> None:
    (folder / f"{name}.desktop").write_text(FILE.format(exec=command, icon=icon))


def find(folder: Path, program: str, *, is_host_file: bool = True) -> DesktopEntry | None:
    process = msgspec.structs.replace(CURL, program=program, is_host_file=is_host_file)
    return DesktopEntries([folder]).find(process)


@pytest.mark.parametrize("command", ["/usr/bin/env", "env env", '"/usr/bin/env" %U', "/usr/bin/env --flag -x %f"])
def test_a_program_has_the_name_and_icon_of_what_starts_it(folder: Path, command: str) -> None:
    write(folder, "tool", command)
    assert find(folder, ENV) == DesktopEntry("Tool", "tool")
    assert find(folder, ENV, is_host_file=False) is None
    assert find(folder, "/usr/bin/none") is None


@pytest.mark.parametrize("command", ["/usr/bin/env run x", "env A=b", "'", "", "/usr/bin/none-987", "env A=b sh -c x"])
def test_what_starts_something_else_by_it_is_not_the_program(folder: Path, command: str) -> None:
    write(folder, "tool", command)
    assert find(folder, ENV) is None


def test_a_variable_before_the_program_is_none_of_its_words() -> None:
    assert split_command("env A=b /usr/bin/env --x") == (ENV, 1)


def test_a_file_that_others_can_write_tells_nothing(folder: Path) -> None:
    users = folder.parent / "user"
    users.mkdir()
    write(users, "tool", "/usr/bin/env")
    (users / "tool.desktop").chmod(0o666)
    assert find(users, ENV) is None
    (folder / "link.desktop").symlink_to(users / "tool.desktop")
    entries = DesktopEntries([users, folder.parent / "none"])
    assert entries.find(msgspec.structs.replace(CURL, program=ENV)) is None


def test_a_picture_that_others_can_write_is_not_shown(folder: Path) -> None:
    picture = folder.parent / "picture.png"
    picture.touch()
    picture.chmod(0o666)
    write(folder, "tool", "/usr/bin/env", icon=str(picture))
    assert find(folder, ENV) == DesktopEntry("Tool", "")
    write(folder, "tool", "/usr/bin/env", icon=ENV)
    assert find(folder, ENV) == DesktopEntry("Tool", ENV)


def test_a_new_file_is_found(folder: Path) -> None:
    entries = DesktopEntries([folder])
    process = msgspec.structs.replace(CURL, program=ENV)
    assert entries.find(process) is None
    write(folder, "tool", "/usr/bin/env")
    os.utime(folder, ns=(1, 1))  # however coarse the clock of the file system is
    assert entries.find(process) == DesktopEntry("Tool", "tool")


def test_the_first_folder_hides_files_of_that_name_in_later_ones(folder: Path) -> None:
    first, later = folder / "first", folder / "later"
    for each in (first, later):
        each.mkdir()
        write(each, "tool", "/usr/bin/env")
    (first / "tool.desktop").write_text(FILE.format(exec="/usr/bin/env", icon="x").replace("Icon", "Hidden=true\nIcon"))
    process = msgspec.structs.replace(CURL, program=ENV)
    assert DesktopEntries([first, later]).find(process) is None
    assert DesktopEntries([later, first]).find(process) == DesktopEntry("Tool", "tool")


def test_of_several_names_the_plainest_counts_or_none() -> None:
    office, writer, calc = (
        Starter(ENV, n, DesktopEntry(name)) for n, name in ((0, "Office"), (1, "Writer"), (1, "Calc"))
    )
    assert choose_entry(ENV, (writer, office, calc)) == DesktopEntry("Office")
    assert choose_entry(ENV, (writer, calc)) is None
    assert choose_entry(ENV, ()) is None


def test_a_script_in_front_of_a_program_of_its_name() -> None:
    entry = DesktopEntry("Browser")
    assert choose_entry(ENV, [Starter("/opt/browser/env", 0, entry)]) == entry
    assert choose_entry("/home/alice/env", [Starter(ENV, 0, entry)]) is None


def test_only_the_main_group_counts() -> None:
    values = parse_desktop_file(FILE.format(exec="x", icon="y"))
    assert (values["Name"], values["Exec"], values["Icon"]) == ("Tool", "x", "y")
    assert parse_desktop_file("Name=x\n[Other]\nName=y\n") == {}


def test_programs_are_found_as_a_desktop_finds_them() -> None:
    assert (find_program("env"), find_program("/usr/bin/env"), find_program("none-987")) == (ENV, ENV, "")


def test_what_is_of_root(tmp_path: Path) -> None:
    mine = tmp_path / "file"
    mine.touch()
    mine.chmod(0o622)
    link = tmp_path / "link"
    link.symlink_to(ENV)
    assert [is_of_root(path) for path in (ENV, link, mine, tmp_path / "none")] == [True, True, False, False]
