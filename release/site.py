"""`make docs`: README and docs as a site, in build/site. A link that leads nowhere fails it.

The order is that of docs/index.md: a section for each of its headings, with the pages that it links there.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from release.source import ROOT, run_git

BUILD = ROOT / "build"
PINS = ROOT / "packaging" / "site.txt"
CONFIG = ROOT / "packaging" / "mkdocs.yml"
SHOWN = ("*.md", "*.png", "*.gif", "*.webp", "*.svg", "LICENSE", "packaging/site.css", "packaging/tinysnitch.toml")
INDEX = Path("docs/index.md")
LINK = re.compile(r"\[([^]]+)\]\(([^)#]+\.md)(?:#[^)]*)?\)")
Sections = dict[str, dict[str, str]]


def main() -> None:
    pages, site = BUILD / "pages", BUILD / "site"
    stage(ROOT, pages)
    config = BUILD / "mkdocs.yml"
    nav = [{"What it is": "README.md"}, {"What do you want to do?": str(INDEX)}, *to_nav(read_sections(pages))]
    config.write_text(
        f"{CONFIG.read_text()}\ndocs_dir: {pages}\nsite_dir: {site}\nnav: {json.dumps(nav, ensure_ascii=False)}\n"
    )
    command = [install_mkdocs(BUILD / "mkdocs"), "build", "--strict", "--config-file", str(config)]
    without_news = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, env=without_news, capture_output=True, text=True, check=False)
    if built.returncode:
        raise SystemExit(f"{built.stderr}error: the site could not be built\nhint: see above for the page and the link")
    sys.stdout.write(f"{site / 'index.html'}; its search works over HTTP: python3 -m http.server -d {site}\n")


def stage(repository: Path, target: Path) -> None:
    """Copy what git has, or would take, of pages and pictures, and leave out those of the tests."""
    shutil.rmtree(target, ignore_errors=True)
    names = run_git(repository, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *SHOWN)
    for name in filter(None, names.split("\0")):
        if not name.startswith("tests/"):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(repository / name, target / name)


def read_sections(pages: Path) -> Sections:
    """Headings of the index with its pages, each where it is linked first; then all others, by their folder."""
    sections: Sections = {}
    left = {path.relative_to(pages) for path in pages.rglob("*.md")} - {INDEX, Path("README.md")}
    for part in (pages / INDEX).read_text().split("\n## ")[1:]:
        heading, _, text = part.partition("\n")
        for title, link in LINK.findall(text):
            page = (pages / INDEX.parent / link).resolve().relative_to(pages.resolve())
            if page in left:
                left.remove(page)
                sections.setdefault(heading, {})[_capitalized(title)] = str(page)
    for page in sorted(left):
        title = (pages / page).read_text().partition("\n")[0].removeprefix("# ")
        sections.setdefault(_capitalized(page.parent.name), {})[title] = str(page)
    return sections


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def to_nav(sections: Sections) -> list[dict[str, list[dict[str, str]]]]:
    return [{heading: [{title: page} for title, page in pages.items()]} for heading, pages in sections.items()]


def install_mkdocs(folder: Path) -> Path:
    """Its command, in an environment of its own, which is made anew when the versions change."""
    pins, mark = PINS.read_text(), folder / "installed.txt"
    if not mark.exists() or mark.read_text() != pins:
        sys.stderr.write("installing mkdocs into build\n")
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", PINS], check=True)
        mark.write_text(pins)
    return folder / "bin" / "mkdocs"


if __name__ == "__main__":
    main()
