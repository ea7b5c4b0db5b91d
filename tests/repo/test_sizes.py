"""Sizes are a result, not a rule: only what nobody reads in one sitting fails here."""

from tests.repo.tree import functions, python_files, relative, tracked

FUNCTION_LIMIT = 60
FILE_LIMIT = 800


def test_no_function_is_a_giant() -> None:
    giants = [
        f"{relative(path)}:{node.lineno} {node.name}"
        for path in python_files("src", "bench", "release", "tests")
        for node in functions(path)
        if (node.end_lineno or node.lineno) - node.lineno + 1 > FUNCTION_LIMIT
    ]
    assert not giants, "\n".join(giants)


def test_no_file_is_a_giant() -> None:
    sources = [path for path in tracked() if path.suffix in (".py", ".c", ".h")]
    giants = [relative(path) for path in sources if path.read_text().count("\n") > FILE_LIMIT]
    assert not giants, "\n".join(giants)
