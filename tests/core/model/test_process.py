"""Who it is, in a word and as a number."""

from tests.core.engine.transcript import whose
from tinysnitch.core.model.process import KERNEL, UNKNOWN, exec_id_of, program_of


def test_the_word_for_rules_and_logs() -> None:
    assert [program_of(one) for one in (KERNEL, UNKNOWN, whose())] == ["kernel", "unknown", "/usr/bin/curl"]


def test_unknown_and_the_kernel_have_ids_of_their_own() -> None:
    assert [exec_id_of(one) for one in (UNKNOWN, KERNEL, whose(9))] == [0, 1, 9]
