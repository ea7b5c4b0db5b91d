"""The site of `make docs`: which pages it has, in which order, and that it loads nothing from other hosts."""

import re
from pathlib import Path

from release.site import CONFIG, PINS, read_sections, stage, to_nav
from tests.repo.tree import ROOT, relative, tracked


def test_every_page_is_on_the_site_once_and_in_its_order(tmp_path: Path) -> None:
    stage(ROOT, tmp_path / "pages")
    staged = {str(path.relative_to(tmp_path / "pages")) for path in (tmp_path / "pages").rglob("*.md")}
    assert staged == {relative(path) for path in tracked() if path.suffix == ".md"}
    (tmp_path / "pages" / "left.png").touch()
    stage(ROOT, tmp_path / "pages")
    assert not (tmp_path / "pages" / "left.png").exists()
    in_order = [page for pages in read_sections(tmp_path / "pages").values() for page in pages.values()]
    assert sorted([*in_order, "README.md", "docs/index.md"]) == sorted(staged)


def test_sections_are_those_of_the_index_and_what_it_leaves_out_comes_last(tmp_path: Path) -> None:
    begin = "\n## Begin\n[start](start.page#now), [news](../news.page)\n## More\n[again](start.page)\n"
    for name, text in {
        "README": "# It",
        "news": "# News",
        "docs/index": f"# It\n{begin.replace('page', 'md')}",
        "docs/start": "# Start",
        "docs/attacks/forged": "# What is forged\n\nText",
    }.items():
        path = tmp_path / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert [[heading, list(pages)] for heading, pages in read_sections(tmp_path).items()] == [
        ["Begin", ["Start", "News"]],
        ["Attacks", ["What is forged"]],
    ]
    first, _attacks = to_nav(read_sections(tmp_path))
    assert [Path(page).stem for entry in first["Begin"] for page in entry.values()] == ["start", "news"]


def test_nothing_is_loaded_from_other_hosts_and_versions_are_exact() -> None:
    assert "font: false" in CONFIG.read_text()
    assert "://" not in CONFIG.read_text()
    pins = [line for line in PINS.read_text().splitlines() if not line.startswith("#")]
    assert any(pin.startswith("mkdocs-material==") for pin in pins)
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)
