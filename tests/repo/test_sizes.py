"""Limits for the sizes of functions and files; for functions of the source also a median and a ninth decile."""

import re
import statistics
from pathlib import Path

from tests.repo.tree import functions, python_files, relative, tracked

FUNCTION_LIMIT = 50
FILE_LIMIT = 400
POSITIONAL_LIMIT = 4
BPF_FUNCTION_LIMIT = 60
BPF_FILE_LIMIT = 300


def lines(path: Path) -> int:
    return path.read_text().count("\n")


def function_sizes(paths: list[Path]) -> list[tuple[int, str]]:
    """The number of lines and the place of every function."""
    return [
        ((node.end_lineno or node.lineno) - node.lineno + 1, f"{relative(path)}:{node.lineno} {node.name}")
        for path in paths
        for node in functions(path)
    ]


def test_no_function_is_a_giant() -> None:
    offenders = [
        place for size, place in function_sizes(python_files("src", "bench", "tests")) if size > FUNCTION_LIMIT
    ]
    assert not offenders, "\n".join(offenders)


def test_no_file_is_a_giant() -> None:
    offenders = [relative(path) for path in python_files("src", "bench", "tests") if lines(path) > FILE_LIMIT]
    assert not offenders, "\n".join(offenders)


def test_most_functions_are_short() -> None:
    sizes = sorted(size for size, _place in function_sizes(python_files("src")))
    assert statistics.median(sizes) <= 10
    assert sizes[len(sizes) * 9 // 10] <= 30


def test_functions_take_few_positional_arguments() -> None:
    offenders = []
    for path in python_files("src"):
        for node in functions(path):
            names = [argument.arg for argument in node.args.posonlyargs + node.args.args]
            if len([name for name in names if name not in ("self", "cls")]) > POSITIONAL_LIMIT:
                offenders.append(f"{relative(path)}:{node.lineno} {node.name}{names}")
    assert not offenders, "\n".join(offenders)


def bpf_files() -> list[Path]:
    return [path for path in tracked() if path.parent.name == "bpf" and path.suffix in (".c", ".h")]


def test_no_bpf_file_is_a_giant() -> None:
    assert [relative(path) for path in bpf_files() if lines(path) > BPF_FILE_LIMIT] == []


def test_no_bpf_function_is_a_giant() -> None:
    offenders = []
    for path in bpf_files():
        for body in re.finditer(r"^\{\n(.*?)^\}", path.read_text(), re.MULTILINE | re.DOTALL):
            if body.group(1).count("\n") > BPF_FUNCTION_LIMIT:
                offenders.append(f"{relative(path)}: {body.group(1)[:60]}")
    assert not offenders, "\n".join(offenders)
