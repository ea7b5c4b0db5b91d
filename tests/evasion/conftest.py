"""All attacks of a file share one stage, since no attack leaves anything behind that the next one could use."""

from collections.abc import Iterator

import pytest

from tests.evasion.stage import Stage


@pytest.fixture(scope="module")
def stage(_clean_machine: None) -> Iterator[Stage]:
    with Stage() as made:
        yield made
