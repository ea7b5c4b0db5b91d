"""One stage for the attacks of a file: no attack leaves a trace that the next one could use."""

from collections.abc import Iterator

import pytest

from tests.evasion.stage import Stage


@pytest.fixture(scope="module")
def stage(_clean_machine: None) -> Iterator[Stage]:
    with Stage() as made:
        yield made
