"""A lab that all tests of a file share: each finds its own connections in the log, by process and port."""

from collections.abc import Iterator

import pytest

from tests.lab.watched_lab import WatchedLab


@pytest.fixture(scope="module")
def watched(_clean_machine: None) -> Iterator[WatchedLab]:
    with WatchedLab() as made:
        yield made
