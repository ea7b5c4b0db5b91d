"""The word for who it is."""

from tests.core.transcript import whose
from tinysnitch.core.process import KERNEL, UNKNOWN, program_of


def test_the_word_for_rules_and_logs() -> None:
    assert [program_of(one) for one in (KERNEL, UNKNOWN, whose())] == ["kernel", "unknown", "/usr/bin/curl"]
