"""Labs that several tests share, where each test can tell its own connections."""

from collections.abc import Iterator

import pytest

from tests.lab.watched_lab import WatchedLab


@pytest.fixture(scope="module")
def watched(_clean_machine: None) -> Iterator[WatchedLab]:
    with WatchedLab() as made:
        yield made
