"""The pages of threats name tests that exist; each test file of tests/evasion is named there; and THREATS.md leads to
every page.
"""

import re

from tests.repo.tree import ROOT

INDEX = (ROOT / "THREATS.md").read_text()
FOLDER = ROOT / "docs/threats"
PAGES = "\n".join([INDEX, *(path.read_text() for path in sorted(FOLDER.glob("*.md")))])


def test_every_test_that_is_named_is_there() -> None:
    """A file name without a folder is one of tests/evasion."""
    named = set(re.findall(r"`((?:tests/[\w/]+/)?test_\w+\.py)`", PAGES))
    places = {name: ROOT / (name if "/" in name else f"tests/evasion/{name}") for name in named}
    assert len(named) > 50
    assert sorted(name for name, place in places.items() if not place.is_file()) == []


def test_every_attack_of_the_suite_is_on_a_page() -> None:
    """Each file of tests/evasion stands for an attack."""
    named = set(re.findall(r"`(test_\w+\.py)`", PAGES))
    assert {path.name for path in (ROOT / "tests/evasion").glob("test_*.py")} - named == set()


def test_the_index_leads_to_every_page() -> None:
    linked = set(re.findall(r"\(docs/threats/(\w+\.md)", INDEX))
    assert linked == {path.name for path in FOLDER.glob("*.md")}
