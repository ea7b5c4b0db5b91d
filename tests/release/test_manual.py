"""The manual: each command and option is in it, groff finds nothing wrong, and the same sources make the same bytes."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import click
import pytest

from release.manual import roff
from release.manual.__main__ import write_manual
from release.manual.commands import make_context, options_of, walk
from release.manual.completion import PLACES
from release.manual.markdown import Renderer, find_section
from release.manual.pages import PAGES, Page
from tests.repo.tree import ROOT

SCRIPTS = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"])
COMMANDS = [page for page in PAGES if page.command]


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("share")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        write_manual(folder / "first")
        write_manual(folder / "second")
    return folder


def plain(text: str) -> str:
    """As it is read, without what is bold or italic."""
    names = {"rs": "\\", "aq": "'", "ga": "`", "ha": "^", "ti": "~", "dq": '"'}
    text = re.sub(r"\\f[BIR]", "", text).replace("\\-", "-").replace("\\ ", " ")
    return " ".join(re.sub(r"\\\[(\w\w)\]", lambda found: names[found[1]], text).split())


def test_every_command_of_the_package_has_a_page() -> None:
    assert {page.name for page in COMMANDS} == SCRIPTS


@pytest.mark.parametrize("page", COMMANDS, ids=lambda page: page.name)
def test_every_subcommand_with_each_of_its_options_is_on_the_page(page: Page, share: Path) -> None:
    text = plain((share / "first" / page.place).read_text())
    context = make_context(page.load(), page.name)
    for each in (context, *walk(context)):
        assert isinstance(each, click.Context)
        assert f"{each.command_path} " in text
        for option, told in options_of(each):
            assert f"{option.replace('[', '').replace(']', '')} {' '.join(told.replace('`', '').split())}" in text


def test_the_same_sources_make_the_same_bytes(share: Path) -> None:
    first, second = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (share / "first", share / "second")
    )
    assert first == second
    assert b'"2023-11-14"' in first[Path("man/man1/tinysnitch.1")]
    assert {Path(place.format(name)) for place in PLACES.values() for name in SCRIPTS} <= set(first)


@pytest.mark.skipif(not shutil.which("groff"), reason="needs groff")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_groff_finds_nothing_wrong_and_80_columns_are_enough(page: Page, share: Path) -> None:
    command = ["groff", "-ww", "-man", "-Tutf8", "-rLL=80n", "-P-cbou", str(share / "first" / page.place)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []
    for heading in ("NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO"):
        assert f"\n{heading}\n" in done.stdout


@pytest.mark.skipif(not shutil.which("mandoc"), reason="needs mandoc")
def test_mandoc_finds_nothing_wrong(share: Path) -> None:
    pages = [str(share / "first" / page.place) for page in PAGES]
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages], capture_output=True, text=True)
    assert done.stdout == ""


def test_what_is_literal_stays_so_in_roff() -> None:
    assert roff.escape(r"""a-b \n '`^~" é""") == r"a\-b \[rs]n \[aq]\[ga]\[ha]\[ti]\[dq] \[u00E9]"
    assert roff.literal([".so /etc/passwd", ""]) == [".RS 2", ".EX", r"\&.so /etc/passwd", "", ".EE", ".RE"]
    assert roff.fill("One. Two e.g. three.") == ["One.", "Two e.g. three."]
    assert roff.literal([f"{'x' * 40}{' ' * 30}{'y' * 30}"])[1] == f"{'x' * 40}  {'y' * 30}"
    assert roff.tagged("x" * 80, "y", "z")[-5:] == [".RS 7", "y", ".br", "z", ".RE"]
    assert roff.literal([f"{'x' * 60}  # {'y' * 20}"]) == [".RS 2", ".EX", f"# {'y' * 20}", "x" * 60, ".EE", ".RE"]


PAGE = """# Title

## One

Text with [rules](docs/rules.md), [NAME](docs/rules.md#a), ![a picture](x.png) and <!-- nothing -->`a *b*`.

### Deeper

| a | b | c |
|---|---|---|
| `x` | y | z |

## Two

| flag | |
|---|---|
| `--gone` | from the help |

1. first

   more
"""


def test_markdown_becomes_roff(tmp_path: Path) -> None:
    page = tmp_path / "page"
    page.write_text(PAGE.replace("NAME", Path("docs/rules.md").name))
    renderer = Renderer({"docs/rules.md": "x.rules(5)"})
    one = renderer.render(*find_section([page], "One"))
    assert one[:2] == [".PP", "Text with rules, x.rules(5), and \\fBa *b*\\fR."]
    assert one[2:] == ['.SS "Deeper"', ".TP", "\\fBx\\fR", "\\fIb\\fR: y", ".br", "\\fIc\\fR: z"]
    two = renderer.render(*find_section([page], "Two"))
    assert two == [".IP 1. 3", "first", ".RS", ".PP", "more", ".RE"]
    with pytest.raises(SystemExit, match="'Three' must head one section of the documentation: no page has it\nhint: "):
        find_section([page], "Three")
    with pytest.raises(SystemExit, match="page, page has it"):
        find_section([page, page], "Two")
