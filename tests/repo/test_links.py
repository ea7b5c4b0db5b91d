"""Links of the pages lead to files and headings that are there; so do the names of files in the design pages."""

import re
from pathlib import Path

from tests.repo.tree import PACKAGE, ROOT, relative, tracked

LINK = re.compile(r"\[[^]]*\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
BLOCK = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([\w/.]+/[\w.]*\.(?:py|h|c)|[\w/]+/)`")


def pages() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".md"]


def read_text(page: Path) -> str:
    """The page without its blocks: a comment in one of them is no heading."""
    return BLOCK.sub("", page.read_text())


def anchor_of(heading: str) -> str:
    """As GitHub makes it: lower case, without punctuation, blanks as dashes."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def find_dead_links(page: Path) -> list[str]:
    dead = []
    for name, anchor in LINK.findall(read_text(page)):
        target = page.parent / name if name else page
        if re.match(r"https?:", name):
            continue
        if not target.is_file():  # of a folder the site (`make docs`) has no page
            dead.append(f"{relative(page)} links {name}")
        elif anchor and anchor not in map(anchor_of, HEADING.findall(read_text(target))):
            dead.append(f"{relative(page)} links {name}#{anchor}")
    return dead


def test_every_link_leads_somewhere() -> None:
    dead = [link for page in pages() for link in find_dead_links(page)]
    assert not dead, "\n".join(dead)


def test_every_file_that_a_page_names_is_there() -> None:
    """By its path in the repository, in the package, or in `bpf/`; a folder ends with a slash."""
    missing = []
    for page in [ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs/design").glob("*.md")]:
        for name in CODE.findall(page.read_text()):
            if not any((root / name).exists() for root in (ROOT, PACKAGE, ROOT / "bpf")):
                missing.append(f"{relative(page)} names {name}")
    assert not missing, "\n".join(missing)


def test_the_index_leads_to_every_page() -> None:
    """But those of docs/threats, which THREATS.md lists."""
    index = ROOT / "docs/index.md"
    linked = {(index.parent / name).resolve() for name, _anchor in LINK.findall(read_text(index))}
    lost = [
        relative(page)
        for page in pages()
        if page.is_relative_to(index.parent) and page.parent.name != "threats" and page not in {index, *linked}
    ]
    assert not lost, "\n".join(lost)


def test_the_readme_is_for_thirty_seconds() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
