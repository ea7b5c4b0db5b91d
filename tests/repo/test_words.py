"""Words that must not be in the repository (stubs, paths of one machine, hosts of package registries), files that are
named but missing, and the form of text files.
"""

import re
from pathlib import Path

from tests.repo.tree import ROOT, python_files, relative, tracked

# Put together from halves, so that this file does not find itself.
STUB = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error"]) + r")\b")
HOSTS = [
    "py" + r"pi\.org",
    "python" + "hosted",
    r"deb\." + "debian",
    "npm" + "js",
    r"archive\." + "ubuntu",
    "registry" + r"\.",
]
PLACE = re.compile(r"(?<![\w.])/(" + "|".join(["wo" + "rk", "fa" + "rm", "ro" + "ot/"]) + r")(/|\b)")
HOST = re.compile("|".join(HOSTS), re.IGNORECASE)
PAGE = re.compile(r"[\w./-]*\w\.md\b")
TESTS = re.compile(r"\b(?:tests/[\w/]+/)?test_\w+\.py\b")
MADE_UP = {"test_hanging.py"}  # a test makes it
LICENSE = "LICENSE"


def readable() -> list[tuple[Path, str]]:
    """The text files of the repository with their text: those that are UTF-8."""
    texts = []
    for path in tracked():
        try:
            texts.append((path, path.read_text()))
        except UnicodeDecodeError:
            continue
    return [(path, text) for path, text in texts if path.name != LICENSE]


def find_lines(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{relative(path)}:{number}: {line.strip()[:100]}"
        for path, text in readable()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_there_is_no_stub() -> None:
    assert find_lines(STUB) == []


def test_there_is_no_path_of_one_machine() -> None:
    assert find_lines(PLACE) == []


def test_there_is_no_host_of_a_registry() -> None:
    assert find_lines(HOST) == []


def test_every_page_that_is_named_is_there() -> None:
    """Names are relative to the root of the repository, or to the folder of the file that has them."""
    named = [(path, name) for path, text in readable() for name in PAGE.findall(text)]
    missing = [
        f"{relative(path)} names {name}"
        for path, name in named
        if not (ROOT / name).is_file() and not (path.parent / name).is_file()
    ]
    assert not missing, "\n".join(missing)
    assert {"README.md", "docs/rules.md", "docs/commands.md"} <= {name for _path, name in named}


def test_all_tests_that_are_named_are_there() -> None:
    """They are named by their whole path, or by their file name alone."""
    there = {name for path in tracked() for name in (relative(path), path.name)} | MADE_UP
    missing = [
        f"{relative(path)} names {name}"
        for path, text in readable()
        for name in TESTS.findall(text)
        if name not in there
    ]
    assert not missing, "\n".join(missing)


def test_every_module_says_what_it_is() -> None:
    silent = [
        relative(path) for path in python_files("src", "bench") if not path.read_text().startswith(('"""', 'r"""'))
    ]
    assert not silent, "\n".join(silent)


def test_c_files_carry_their_licence() -> None:
    bare = [
        relative(path)
        for path, text in readable()
        if path.is_relative_to(ROOT / "bpf") and "SPDX-License-Identifier" not in text.split("\n", 1)[0]
    ]
    assert not bare, "\n".join(bare)


def test_text_ends_with_a_newline_and_lines_do_not_end_with_blanks() -> None:
    sloppy = [
        relative(path)
        for path, text in readable()
        if text and (not text.endswith("\n") or re.search(r"[ \t]+$", text, re.MULTILINE))
    ]
    assert not sloppy, "\n".join(sloppy)
