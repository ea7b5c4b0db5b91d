"""The fuzzer of `make fuzz`, for a second or two."""

import os

import pytest

from tests.fuzz.fuzz_messages import MOST_S, READERS, fuzz, measure, read, read_corpus

COUNT = int(os.environ.get("TINYSNITCH_FUZZ_MESSAGES", "20000"))


@pytest.mark.parametrize("message", read_corpus())
def test_every_message_of_the_corpus_is_read(message: bytes) -> None:
    assert read(message)


@pytest.mark.slow
def test_no_mutant_does_harm() -> None:
    outcome = fuzz(COUNT)
    assert outcome.messages == COUNT
    assert 0 < outcome.read < COUNT
    assert outcome.slowest_s <= MOST_S, outcome.slowest.hex()


def test_a_slow_reader_would_be_seen() -> None:
    assert measure(lambda _message: sum(range(1_000_000)), b"") > measure(READERS[0], b"")
