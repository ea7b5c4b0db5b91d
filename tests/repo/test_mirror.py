"""Every file of the source has its test file, at the same place below tests/."""

import ast
from pathlib import Path

from tests.repo.tree import PACKAGE, ROOT, functions, python_files, relative, tracked

# Files that only connect other parts are tested elsewhere: in the lab, with the real kernel, or with their only caller.
TESTED_ELSEWHERE = {
    "cli/scoped_run.py": "tests/lab/test_run.py",
    "daemon/control/desk.py": "tests/lab/test_explain.py",
    "daemon/startup/leftovers.py": "tests/lab/test_run_ends.py",
}


def has_behaviour(path: Path) -> bool:
    """Whether there is anything to test: a file of plain values and protocols has no functions with a body."""
    return any(not is_declaration(function) for function in functions(path))


def is_declaration(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether its body is `...`, as in a typing.Protocol."""
    last = function.body[-1]
    return isinstance(last, ast.Expr) and isinstance(last.value, ast.Constant) and last.value.value is ...


def mirror_of(path: Path) -> Path:
    inside = path.relative_to(PACKAGE)
    return ROOT / "tests" / inside.parent / f"test_{inside.stem.lstrip('_')}.py"


def test_every_file_has_its_tests() -> None:
    missing = []
    for path in python_files("src/tinysnitch"):
        name = str(path.relative_to(PACKAGE))
        if path.name == "__init__.py" or not has_behaviour(path) or mirror_of(path).exists():
            continue
        if name not in TESTED_ELSEWHERE:
            missing.append(name)
    assert not missing, "\n".join(missing)


def test_the_exceptions_are_still_needed() -> None:
    for name, tests in TESTED_ELSEWHERE.items():
        assert (PACKAGE / name).exists()
        assert (ROOT / tests).exists()
        assert not mirror_of(PACKAGE / name).exists()


def test_every_unit_test_has_its_file() -> None:
    layers = [path.name for path in PACKAGE.iterdir() if path.is_dir()]
    tested = {mirror_of(path) for path in python_files("src/tinysnitch")}
    tested |= {ROOT / path for path in TESTED_ELSEWHERE.values()}
    # A file such as bpf/programs/verdict.bpf.c is tested by tests/bpf/test_verdict.py.
    tested |= {ROOT / "tests" / "bpf" / f"test_{path.name.split('.')[0]}.py" for path in tracked_bpf()}
    tests = [path for layer in layers for path in python_files(f"tests/{layer}") if path.name.startswith("test_")]
    orphans = [relative(path) for path in tests if path not in tested]
    assert not orphans, "\n".join(orphans)


def tracked_bpf() -> list[Path]:
    return [path for path in tracked() if path.name.endswith((".bpf.c", ".bpf.h"))]
