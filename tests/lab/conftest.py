"""What the tests of several files use."""

from collections.abc import Iterator

import pytest

from tests.lab.person import Person
from tests.lab.watched_lab import WatchedLab


@pytest.fixture(scope="module")
def watched(_clean_machine: None) -> Iterator[WatchedLab]:
    """A lab that all tests of a file share: each finds its own connections in the log, by process and port."""
    with WatchedLab() as made:
        yield made


@pytest.fixture
def people() -> Iterator[list[Person]]:
    """Whoever is added leaves at the end."""
    present: list[Person] = []
    yield present
    for person in present:
        person.close()
