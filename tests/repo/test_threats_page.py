"""THREATS.md names tests that exist, and each test file of tests/evasion is named there."""

import re

from tests.repo.tree import ROOT

PAGE = (ROOT / "THREATS.md").read_text()


def test_every_test_that_is_named_is_there() -> None:
    """A file name without a folder is one of tests/evasion."""
    named = set(re.findall(r"`((?:tests/\w+/)?test_\w+\.py)`", PAGE))
    places = {name: ROOT / (name if "/" in name else f"tests/evasion/{name}") for name in named}
    assert len(named) > 50
    assert sorted(name for name, place in places.items() if not place.is_file()) == []


def test_every_attack_of_the_suite_is_told() -> None:
    """Each file of tests/evasion stands for an attack."""
    told = set(re.findall(r"`(test_\w+\.py)`", PAGE))
    assert {path.name for path in (ROOT / "tests/evasion").glob("test_*.py")} - told == set()
