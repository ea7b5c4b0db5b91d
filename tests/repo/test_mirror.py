"""Every room of the source is tested in the folder of the same name below tests/.

A public name is reached if a test of its room names it, or if something of the room that is reached does.
"""

import ast
import re
from pathlib import Path

from tests.repo.test_layers import files_of, folders
from tests.repo.tree import ROOT, imports_of, python_files

WORD = re.compile(r"[A-Za-z_]\w*")
# Rooms that also have tests elsewhere, where whole daemons or the real kernel are.
TESTED_ELSEWHERE = {"cli": ["tests/lab"], "kernel/bpf": ["tests/bpf"], "daemon/startup": ["tests/lab"]}


def files_testing(room: str) -> set[Path]:
    """The test files of a room, with the helpers below tests/ that they import."""
    folders = [f"tests/{room}", *TESTED_ELSEWHERE.get(room, [])]
    found = set[Path]()
    new = {path for folder in folders for path in python_files(folder)}
    while new:
        found |= new
        names = {name for path in new for name in imports_of(path) if name.startswith("tests.")}
        new = {path for name in names if (path := ROOT / f"{name.replace('.', '/')}.py").is_file()} - found
    return found


def words_in(node: ast.AST) -> set[str]:
    return set(WORD.findall(ast.unparse(node)))


def has_behaviour(node: ast.stmt) -> bool:
    """Whether there is anything to test: a plain value, or a protocol, has no function with a body."""
    functions = [each for each in ast.walk(node) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    return any(not isinstance(each.body[-1], ast.Expr) or "..." not in ast.unparse(each.body[-1]) for each in functions)


def names_of(node: ast.stmt) -> set[str]:
    """What a statement at the top of a file defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}


def test_every_public_name_is_reached_by_a_test_of_its_room() -> None:
    missing = []
    for room in folders():
        words = {word for path in files_testing(room) for word in WORD.findall(path.read_text())}
        statements = [node for path in files_of(room) for node in ast.parse(path.read_text()).body]
        unreached = {name: node for node in statements for name in names_of(node)}
        while new := words & unreached.keys():
            words |= set().union(*(words_in(unreached.pop(name)) for name in new))
        missing += [
            f"{room}: {name}" for name, node in unreached.items() if not name.startswith("_") and has_behaviour(node)
        ]
    assert not missing, "\n".join(missing)


def test_every_folder_of_unit_tests_is_that_of_a_room() -> None:
    rooms = {folder.split("/")[0] for folder in folders()}
    tested = {path.parent for path in python_files("tests") if path.name.startswith("test_")}
    below = {str(folder.relative_to(ROOT / "tests")) for folder in tested}
    unknown = {folder for folder in below if folder.split("/")[0] in rooms} - set(folders())
    assert not unknown, "\n".join(sorted(unknown))
