import os
from pathlib import Path

import pytest

from tests.bpf.attribution_table import make_image
from tinysnitch.core.programs.program import NamedProgram
from tinysnitch.kernel.attribution.process_builder import find_started_as

ENV, PYTHON = os.path.realpath("/usr/bin/env"), os.path.realpath("/usr/bin/python3")
NAME = "other-name"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of root's alone."""
    tmp_path.chmod(0o755)
    return tmp_path


def make_link(folder: Path, target: str, owner: int = 0) -> str:
    link = folder / NAME
    link.symlink_to(target)
    os.lchown(link, owner, owner)
    return str(link)


def find(started_as: str, *argv: str, file: str = ENV) -> str | None:
    return find_started_as(make_image(file, *argv, started_as=started_as), NamedProgram(file, argv[1:]))


@pytest.mark.privileged
@pytest.mark.parametrize("first", [NAME, f"-{NAME}", f"/anywhere/{NAME}"])
def test_the_link_that_root_made(folder: Path, first: str) -> None:
    link = make_link(folder, ENV)
    assert find(link, first, "a") == link


@pytest.mark.privileged
@pytest.mark.parametrize("argv", [("env",), (ENV,), ("",), ()])
def test_where_the_first_argument_says_another_name_none_is_told(folder: Path, argv: tuple[str, ...]) -> None:
    """The program acts by its first argument."""
    assert find(make_link(folder, ENV), *argv) is None


@pytest.mark.privileged
@pytest.mark.parametrize("target", ["/usr/bin/true", "/nowhere", NAME])
def test_a_name_of_another_file_is_not_told(folder: Path, target: str) -> None:
    """The link led elsewhere in the mounts or root of the process, or was changed since."""
    assert find(make_link(folder, target), NAME) is None


@pytest.mark.privileged
@pytest.mark.parametrize(("link_owner", "owner", "mode"), [(1000, 0, 0o755), (0, 1000, 0o755), (0, 0, 0o1777)])
def test_a_name_that_others_than_root_can_give_is_not_told(
    folder: Path, link_owner: int, owner: int, mode: int
) -> None:
    link = make_link(folder, ENV, link_owner)
    os.chown(folder, owner, owner)
    folder.chmod(mode)
    assert find(link, NAME) is None


@pytest.mark.privileged
@pytest.mark.parametrize("started_as", ["", NAME, f"./{NAME}", "/dev/fd/9", "/\0"])
def test_a_path_that_says_nothing_to_the_host(started_as: str) -> None:
    assert find(started_as, NAME) is None


@pytest.mark.parametrize("started_as", ["/usr/bin/env", "/bin/env", "/usr/bin/python3"])
def test_the_same_name_in_another_folder_or_without_its_version_is_no_other(started_as: str) -> None:
    name = started_as.rpartition("/")[2]
    assert find(started_as, name, file=os.path.realpath(started_as)) is None


@pytest.mark.privileged
def test_a_script_has_the_name_that_its_interpreter_was_told(folder: Path) -> None:
    script = folder / "x.py"
    script.write_text("")
    link = make_link(folder, "x.py")
    image = make_image(PYTHON, "python3", link, started_as="/usr/bin/python3")
    assert find_started_as(image, NamedProgram(str(script), (), PYTHON, link)) == link
    assert find_started_as(image, NamedProgram(str(script), (), PYTHON, str(script))) is None
