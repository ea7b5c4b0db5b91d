"""Each layer imports only what the table in ARCHITECTURE.md allows, and the pure layers touch nothing outside."""

import re
import sys
import tomllib
from pathlib import Path

from tests.repo.tree import PACKAGE, ROOT, imports_of, python_files, relative

ROW = re.compile(r"^\| `(\w+)` \| .* \| ([\w, ]+) \|$", re.MULTILINE)
# What a layer may import from the project, besides itself. Anything absent is forbidden.
MAY_IMPORT = {
    layer: set(imports.split(", ")) - {"nothing"}
    for layer, imports in ROW.findall((ROOT / "ARCHITECTURE.md").read_text())
}
PURE = {"core", "protocol", "view"}
IMPURE_MODULES = {"asyncio", "os", "pathlib", "socket", "sqlite3", "subprocess", "threading", "time"}


def layer_of(name: str) -> str:
    """`core` for tinysnitch.core.model.flow; "" for the package itself."""
    return [*name.split("."), ""][1]


def layers() -> set[str]:
    return {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}


def imported_layers(path: Path) -> set[str]:
    ours = {name for name in imports_of(path) if name.split(".")[0] == "tinysnitch"}
    return {layer_of(name) for name in ours} - {"__version__"}


def test_every_layer_is_in_the_table() -> None:
    assert layers() == MAY_IMPORT.keys()


def test_layers_import_only_what_they_may() -> None:
    wrong = []
    for layer in sorted(layers()):
        allowed = MAY_IMPORT[layer] | {layer, ""}
        for path in python_files(f"src/tinysnitch/{layer}"):
            wrong += [f"{relative(path)} imports {name}" for name in imported_layers(path) - allowed]
    assert not wrong, "\n".join(wrong)


def test_nothing_is_allowed_that_no_layer_needs() -> None:
    for layer in sorted(layers()):
        used = set[str]().union(*map(imported_layers, python_files(f"src/tinysnitch/{layer}")))
        assert MAY_IMPORT[layer] - used == set(), layer


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
    """In the package, in bpf/ or in the root."""
    named = set(re.findall(r"`([\w/.]+\.(?:py|h|c))`", (ROOT / "ARCHITECTURE.md").read_text()))
    places = {name: [PACKAGE / name, ROOT / "bpf" / name, ROOT / name] for name in named}
    missing = [name for name, found in places.items() if not any(place.is_file() for place in found)]
    assert len(named) > 20
    assert sorted(missing) == []
