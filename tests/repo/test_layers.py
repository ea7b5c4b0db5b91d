"""Rooms (the folders of the package) import only what the table in ARCHITECTURE.md allows, and never in a circle."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.repo.tree import PACKAGE, ROOT, imports_of, python_files, relative, tracked

MAP = (ROOT / "ARCHITECTURE.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| .* \| ([\w, ]+) \|$", re.MULTILINE)
# What a room may import from the project, besides itself. Anything absent is forbidden.
MAY_IMPORT = {room: set(imports.split(", ")) - {"nothing"} for room, imports in ROW.findall(MAP)}
PURE = {"core", "protocol", "view"}
IMPURE_MODULES = {"asyncio", "os", "pathlib", "socket", "sqlite3", "subprocess", "threading", "time"}
MOST_MODULES = 20  # in a folder: more cannot be taken in at a glance
ENTRANCE_LINES = range(8, 21)  # of a room's docstring


def folders() -> list[str]:
    """Every folder of the package: the rooms, and those inside them: `core`, `core/dns`, `view`."""
    return sorted({str(path.parent.relative_to(PACKAGE)) for path in python_files("src/tinysnitch")} - {"."})


def rooms() -> list[str]:
    return [folder for folder in folders() if "/" not in folder]


def files_of(folder: str) -> list[Path]:
    return [path for path in python_files("src/tinysnitch") if path.parent == PACKAGE / folder]


def folder_of(path: Path) -> str:
    return str(path.parent.relative_to(PACKAGE))


def file_of(name: str) -> Path | None:
    """Where a module of the package lies; None: the name is that of something else."""
    place = PACKAGE.parent.joinpath(*name.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def imported_files(path: Path) -> set[Path]:
    """The files of the package that a file imports, wherever in it."""
    found = {file_of(name) for name in imports_of(path) if name.split(".")[0] == "tinysnitch"}
    return {each for each in found if each and each.parent != PACKAGE and each.name != "__init__.py"} - {path}


def imported_folders(folder: str) -> set[str]:
    return {folder_of(each) for path in files_of(folder) for each in imported_files(path)} - {folder}


def imported_rooms(room: str) -> set[str]:
    inside = [folder for folder in folders() if folder.split("/")[0] == room]
    return {each.split("/")[0] for folder in inside for each in imported_folders(folder)} - {room}


def find_circle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_room_is_in_the_table() -> None:
    assert rooms() == sorted(MAY_IMPORT)


@pytest.mark.parametrize("room", rooms())
def test_a_room_imports_what_the_table_says_and_no_other(room: str) -> None:
    assert imported_rooms(room) == MAY_IMPORT[room]


def test_there_is_no_circle() -> None:
    """Neither of folders nor of files."""
    assert find_circle({folder: imported_folders(folder) for folder in folders()}) == []
    files = python_files("src/tinysnitch")
    assert find_circle({relative(path): map(relative, imported_files(path)) for path in files}) == []


def test_a_folder_can_be_taken_in_at_a_glance() -> None:
    counts: dict[Path, int] = {}
    for path in tracked():
        if path.is_relative_to(ROOT / "src") or path.is_relative_to(ROOT / "bpf"):
            is_module = path.suffix in (".py", ".c", ".h") and path.name != "__init__.py"
            counts[path.parent] = counts.get(path.parent, 0) + is_module
    assert [f"{relative(folder)}: {count}" for folder, count in counts.items() if count > MOST_MODULES] == []


def entrance_of(folder: str) -> str:
    return ast.get_docstring(ast.parse((PACKAGE / folder / "__init__.py").read_text())) or ""


def test_every_folder_says_at_its_entrance_what_it_is() -> None:
    lengths = {folder: len(entrance_of(folder).splitlines()) for folder in folders()}
    assert {folder: lines for folder, lines in lengths.items() if lines not in ENTRANCE_LINES} == {}


def test_a_room_names_the_rooms_inside_it() -> None:
    inner = [folder for folder in folders() if "/" in folder]
    assert len(inner) > 20
    assert [folder for folder in inner if f"`{folder.split('/')[1]}`" not in entrance_of(folder.split("/")[0])] == []


def test_pure_layers_touch_nothing_outside() -> None:
    wrong = []
    for layer in sorted(PURE):
        for path in python_files(f"src/tinysnitch/{layer}"):
            touched = {name.split(".")[0] for name in imports_of(path)} & IMPURE_MODULES
            wrong += [f"{relative(path)} is pure but imports {name}" for name in sorted(touched)]
    assert not wrong, "\n".join(wrong)


# Distributions whose module has another name than their own.
MODULES = {"pyside6-essentials": "pyside6"}


def modules_of(requirements: list[str]) -> set[str]:
    """The modules, in lower case, of distributions as pyproject.toml names them."""
    names = [requirement.split("==")[0].lower() for requirement in requirements]
    return {MODULES.get(name, name).replace("-", "_") for name in names}


def foreign_imports(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports_of(path)} - set(sys.stdlib_module_names) - {"tinysnitch"}


def test_only_what_pyproject_declares_is_imported() -> None:
    """The package may import only what running requires, not what tests or the build need; qt/ may import Qt, too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = modules_of(project["dependencies"])
    window = modules_of(project["optional-dependencies"]["gui"])
    wrong = []
    for path in python_files("src/tinysnitch"):
        allowed = required | (window if path.is_relative_to(PACKAGE / "qt") else set())
        wrong += [f"{relative(path)} imports {head}" for head in foreign_imports(path) if head.lower() not in allowed]
    assert not wrong, "\n".join(wrong)


def test_every_file_that_the_map_names_is_there() -> None:
    """In the package, in a folder of bpf/ or in the root."""
    named = set(re.findall(r"`([\w/.]+\.(?:py|h|c))`", MAP))
    places = {name: [PACKAGE / name, ROOT / "bpf" / name, ROOT / name, *ROOT.glob(f"bpf/*/{name}")] for name in named}
    missing = [name for name, found in places.items() if not any(place.is_file() for place in found)]
    assert len(named) > 20
    assert sorted(missing) == []
